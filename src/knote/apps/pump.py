"""A flow that leaves the bytes in the kernel, where the two ends allow it."""

from __future__ import annotations

import errno
import select
import stat
from typing import TYPE_CHECKING

from knote import EV_ADD, EV_CLEAR, EVFILT_READ, EVFILT_TIMER, EVFILT_WRITE, NOTE_NODATA, kevent, kqueue
from knote.apps.flow import NOTES, Flow
from knote.apps.ways import Way, enlarge, ways

if TYPE_CHECKING:
    from knote.apps.holes import Holes
    from knote.apps.inlet import Inlet
    from knote.apps.meter import Meter
    from knote.apps.outlet import Outlet

TURNS = 16
"""Moves after one event, before others have their turn."""

_FULL = 64 * 1024
"""A pipe of the usual size that was filled in one go is worth enlarging."""


class Pump(Flow):
    """Both ends are watched by edge: a move that says EAGAIN has an empty source or a full target, and need not
    know which, since the edge of either is the reason to try again.  So waiting costs no changes.

    What a way refuses or fails at, the next one does, and read and write at the last: they tell which of the two
    ends has an error, and only they are believed that an end has come (files of /proc).
    """

    __slots__ = ("_enlarged", "_holes", "_ways")

    def __init__(
        self,
        queue: kqueue,
        inlet: Inlet,
        outlet: Outlet,
        *,
        meter: Meter | None = None,
        first: bytes = b"",
        holes: Holes | None = None,
    ) -> None:
        super().__init__(queue, inlet, outlet, meter=meter, first=first)
        self._ways: list[Way] = [] if first else ways(inlet, outlet)
        self._holes = holes
        self._enlarged = False

    @property
    def pending(self) -> int:
        """As Flow.pending; where the bytes stay in the kernel, 1 while the source has some or is at its end."""
        if not self._ways or self.done:
            return super().pending
        poll = select.poll()
        poll.register(self._inlet.fd, select.POLLIN)
        return int(bool(poll.poll(0)))

    def start(self) -> None:
        """Wait for the first byte."""
        if not self._ways:
            super().start()
            return
        self.way = self._ways[0].name
        if self._inlet.kind == stat.S_IFREG and self._inlet.size > _FULL:
            self._enlarge()
        self._listen()

    def ready(self, event: kevent) -> None:
        """An end has become ready, or the pause that the meter asked for is over."""
        if not self._ways:
            super().ready(event)
            return
        if event.filter == EVFILT_TIMER:
            self._resting = False
        if not self._resting and not self.done:
            self._pump()

    def _listen(self) -> None:
        """Be told at once if the source has something, and whenever something comes."""
        try:
            self._queue.control([kevent(self._inlet.fd, EVFILT_READ, EV_ADD | EV_CLEAR, NOTES, 0, self)], 0)
        except OSError as error:
            self.read_error = OSError(error.errno, error.strerror, self._inlet.name)
            self.done = True

    def _pump(self) -> None:
        source, target = self._inlet.fd, self._outlet.fd
        way = self._ways[0]
        for _ in range(TURNS if way.most <= _FULL * TURNS else 1):
            room = way.most
            if self._meter is not None:
                room = min(room, self._meter.room())
                if not room:
                    self._rest()
                    return
            if self._holes is not None:
                skipped, room = self._holes.next(room)
                self.total += skipped
            try:
                count = way.move(source, target, room)
            except BlockingIOError:
                self._wait()
                return
            except OSError as error:
                self._failed(error)
                return
            if not count:
                self._next_way(to_the_last=True)
                return
            self.total += count
            if self._meter is not None:
                self._meter.spend(count)
            if count >= _FULL and not self._enlarged:
                self._enlarge()
        self._listen()

    def _wait(self) -> None:
        # Not before it is needed: a pipe that nobody reads refuses it, and nothing may ever be written.
        if self._writes is None and self._outlet.kind != stat.S_IFREG:
            self._writes = True
            try:
                change = kevent(self._outlet.fd, EVFILT_WRITE, EV_ADD | EV_CLEAR, NOTE_NODATA, 0, self)
                self._queue.control([change], 0)
            except OSError as error:
                if error.errno != errno.EPERM:
                    self._broke(OSError(error.errno, error.strerror, self._outlet.name))

    def _failed(self, error: OSError) -> None:
        if error.errno in _REFUSALS:
            self._next_way(to_the_last=False)
        elif error.errno == errno.EPIPE or (self._outlet.kind == stat.S_IFSOCK and error.errno != errno.EIO):
            self._broke(OSError(error.errno, error.strerror, self._outlet.name))
        elif self._inlet.kind == stat.S_IFSOCK:
            # A socket tells its error once: whoever reads after this finds an end, as if all were well.
            self.read_error = OSError(error.errno, error.strerror, self._inlet.name)
            self.stop()
        else:
            self._next_way(to_the_last=True)

    def _next_way(self, *, to_the_last: bool) -> None:
        del self._ways[: len(self._ways) if to_the_last else 1]
        if self._ways:
            self.way = self._ways[0].name
            self._listen()
            return
        if not self.total:
            self.way = "read and write"
        self._delete(self._inlet.fd, EVFILT_READ)
        if self._writes is not None:
            self._delete(self._outlet.fd, EVFILT_WRITE)
            self._writes = None
        super().start()

    def _enlarge(self) -> None:
        self._enlarged = True
        for end in (self._inlet, self._outlet):
            if end.kind == stat.S_IFIFO:
                enlarge(end.fd)

    def stop(self) -> None:
        """Done: take the knotes back, and end the target where a hole ends it."""
        super().stop()
        if self._holes is not None and self.write_error is None:
            try:
                self._holes.finish()
            except OSError as error:
                self.write_error = OSError(error.errno, error.strerror, self._outlet.name)


_REFUSALS = frozenset(
    (errno.EINVAL, errno.ENOSYS, errno.EXDEV, errno.EOPNOTSUPP, errno.EBADF, errno.EPERM, errno.ETXTBSY)
)
"""What a way says of a pair that it does not do; nothing was moved."""
