"""The same bytes to more than one output."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote import EV_ADD, EV_DELETE, EV_DISABLE, EV_ENABLE, EV_KEEPUDATA, EVFILT_WRITE, NOTE_NODATA, kevent, kqueue
from knote.apps.flow import Flow
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.apps.inlet import Inlet
    from knote.apps.meter import Meter
    from knote.apps.outlet import Outlet


class Branch(Handler):
    """One more output of a Fork: it writes the fork's buffer at its own pace."""

    __slots__ = ("_fork", "_queue", "_rest", "_writes", "error", "outlet")

    def __init__(self, queue: kqueue, fork: Fork, outlet: Outlet) -> None:
        self._queue = queue
        self._fork = fork
        self._rest = memoryview(b"")
        self._writes: bool | None = None
        self.outlet = outlet
        self.error: OSError | None = None

    @property
    def busy(self) -> bool:
        """Whether it has not written all that it was given."""
        return bool(self._rest)

    def give(self, data: memoryview) -> None:
        """Write this, which stays as it is until busy is over."""
        self._rest = data
        if not self.outlet.patient:
            self._write()
        self._settle()

    def ready(self, event: kevent) -> None:
        """There is room."""
        self._write()
        self._settle()
        self._fork.written()

    def _write(self) -> None:
        try:
            self._rest = self._rest[self.outlet.write(self._rest) :]
        except OSError as error:
            self._broke(error)

    def _broke(self, error: OSError) -> None:
        self._rest = memoryview(b"")
        self.error = error

    def _settle(self) -> None:
        if self.error is not None:
            return  # with a pipe's reader goes the knote, by itself, and could not be disabled
        write = self.busy
        if write == bool(self._writes):
            return
        flags = EV_ADD if self._writes is None else (EV_ENABLE if write else EV_DISABLE) | EV_KEEPUDATA
        try:
            self._queue.control([kevent(self.outlet.fd, EVFILT_WRITE, flags, NOTE_NODATA, 0, self)], 0)
            self._writes = write
        except OSError as error:
            self._broke(self.outlet.refused(error))

    def stop(self) -> None:
        """Take the knote back."""
        if self._writes is not None:
            try:
                self._queue.control([kevent(self.outlet.fd, EVFILT_WRITE, EV_DELETE)], 0)
            except OSError:
                pass  # ENOENT: gone with the pipe's reader


class Fork(Flow):
    """A flow that reads on when every output has what was read last.  One that fails is told and left out, as
    tee(1) does; when the main one fails all ends."""

    __slots__ = ("_branches", "_complain", "_outlets")

    def __init__(
        self,
        queue: kqueue,
        inlet: Inlet,
        outlet: Outlet,
        others: list[Outlet],
        complain: Callable[[OSError], None],
        *,
        meter: Meter | None = None,
        first: bytes = b"",
    ) -> None:
        super().__init__(queue, inlet, outlet, meter=meter, first=first)
        self._outlets = others
        self._branches = [Branch(queue, self, other) for other in others]
        self._complain = complain

    def start(self) -> None:
        """Wait for the first byte."""
        if self._stop:
            self._give()
        super().start()

    def _busy(self) -> bool:
        return super()._busy() or any(branch.busy for branch in self._branches)

    def _read(self) -> bool:
        read = super()._read()
        if read and not self.done:
            self._give()
        return read

    def _give(self) -> None:
        data = self._buffer[: self._stop]
        for branch in self._branches:
            branch.give(data)
        self._sort_out()

    def written(self) -> None:
        """A branch has gone on."""
        self._sort_out()
        if not self.done:
            self._settle()

    def _sort_out(self) -> None:
        for branch in [branch for branch in self._branches if branch.error is not None]:
            assert branch.error is not None
            branch.stop()
            self._branches.remove(branch)
            self._outlets.remove(branch.outlet)
            self._complain(branch.error)

    def stop(self) -> None:
        """Done: take the knotes back."""
        super().stop()
        for branch in self._branches:
            branch.stop()
