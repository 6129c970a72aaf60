# cython: annotation_typing=False
"""Bytes on their way from an inlet to an outlet, as fast as the slower of the two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote import (
    EV_ADD,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EV_KEEPUDATA,
    EV_ONESHOT,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_WRITE,
    NOTE_FILE_POLL,
    NOTE_NODATA,
    kevent,
    kqueue,
)
from knote.apps.handler import Handler, deliver

if TYPE_CHECKING:
    from knote.apps.inlet import Inlet
    from knote.apps.meter import Meter
    from knote.apps.outlet import Outlet

ROOM = 128 * 1024
"""The buffer: what is read at once, and the most that is ever held."""

# FILE_POLL: a file at its end is readable too, since reading says that this is the end (on every BSD a READ
# knote without it is silent there, and a copier that waits for it hangs).
NOTES = NOTE_NODATA | NOTE_FILE_POLL


class Flow(Handler):
    """One buffer, so memory is bounded: what is in it is written before more is read.

    READ is enabled while the buffer is empty and WRITE while the outlet has no room for what is in it; so an end
    that is not wanted costs nothing.  Errors do not leave ready(): read_error and write_error hold them, with
    the end's name as their filename, and the flow is done.
    meter: says how much may be read now; while it says nothing, READ is disabled and a timer runs.
    first: what was read of the inlet already.
    """

    __slots__ = (
        "_buffer", "_inlet", "_listens", "_meter", "_outlet", "_queue", "_resting", "_start", "_stop", "_writes",
        "done", "read_error", "total", "way", "write_error",
    )  # fmt: skip

    def __init__(
        self, queue: kqueue, inlet: Inlet, outlet: Outlet, *, meter: Meter | None = None, first: bytes = b""
    ) -> None:
        self._queue = queue
        self._inlet = inlet
        self._outlet = outlet
        self._meter = meter
        self._buffer = memoryview(bytearray(ROOM))
        self._buffer[: len(first)] = first
        self._start = 0
        self._stop = len(first)
        self._listens = False  # READ is there and enabled
        self._writes: bool | None = None  # WRITE is enabled; None: not added yet
        self._resting = False
        self.done = False
        self.total = 0
        self.way = "read and write"
        self.read_error: OSError | None = None
        self.write_error: OSError | None = None

    @property
    def pending(self) -> int:
        """Bytes that were read and not written."""
        return self._stop - self._start

    def start(self) -> None:
        """Wait for the first byte."""
        if self._listen() and self._stop:
            if not self._outlet.patient:
                self._write()
            self._settle()

    def _listen(self) -> bool:
        """Add READ.  False: it is refused, which is the end."""
        try:
            self._queue.control([kevent(self._inlet.fd, EVFILT_READ, EV_ADD, NOTES, 0, self)], 0)
        except OSError as error:
            self.read_error = OSError(error.errno, error.strerror, self._inlet.name)
            self.done = True
            return False
        self._listens = True
        return True

    def ready(self, event: kevent) -> None:
        """An end is ready, or the pause that the meter asked for is over."""
        if self.done:
            return
        if event.filter == EVFILT_TIMER:
            self._resting = False
        elif event.filter == EVFILT_WRITE:
            self._write()
        elif not self._busy():
            self._read()
        self._settle()

    def _busy(self) -> bool:
        """Whether what was read last has not been written everywhere."""
        return self._start < self._stop

    def _read(self) -> bool:
        """Whether something was read."""
        room = ROOM if self._meter is None else min(ROOM, self._meter.room())
        if not room:
            self._rest()
            return False
        try:
            count = self._inlet.read_into(self._buffer[:room] if room < ROOM else self._buffer)
        except OSError as error:
            self.read_error = error
            self.stop()
            return False
        if count <= 0:
            if count == 0:
                self.stop()
            return False
        if self._meter is not None:
            self._meter.spend(count)
        self._start, self._stop = 0, count
        if not self._outlet.patient:
            self._write()
        return True

    def _write(self) -> None:
        try:
            count = self._outlet.write(self._buffer[self._start : self._stop])
        except OSError as error:
            self._broke(error)
            return
        self._start += count
        self.total += count

    def _rest(self) -> None:
        """Nothing may be read for now."""
        assert self._meter is not None
        self._resting = True
        pause = kevent(id(self), EVFILT_TIMER, EV_ADD | EV_ONESHOT, 0, self._meter.pause(), self)
        self._queue.control([pause], 0)

    def _settle(self) -> None:
        """Wait for what is wanted now, and for nothing else."""
        if self.done:
            return
        if self._inlet.ended and not self._busy():
            self.stop()
            return
        self._want(read=not self._resting and not self._busy(), write=self._start < self._stop)

    def _want(self, *, read: bool, write: bool) -> None:
        """Have READ and WRITE enabled or not, as they are needed."""
        changes = []
        if read != self._listens:
            change = (EV_ENABLE if read else EV_DISABLE) | EV_KEEPUDATA
            changes.append(kevent(self._inlet.fd, EVFILT_READ, change, NOTES))
        if write and self._writes is None:
            # Not before it is needed: a pipe that nobody reads refuses it, and nothing may ever be written.
            changes.append(kevent(self._outlet.fd, EVFILT_WRITE, EV_ADD, NOTE_NODATA, 0, self))
        elif self._writes is not None and write != self._writes:
            change = (EV_ENABLE if write else EV_DISABLE) | EV_KEEPUDATA
            changes.append(kevent(self._outlet.fd, EVFILT_WRITE, change, NOTE_NODATA))
        if not changes:
            return
        try:
            self._queue.control(changes, 0)
        except OSError as error:
            self._broke(self._outlet.refused(error))
            return
        self._listens = read
        if write or self._writes is not None:
            self._writes = write

    def _broke(self, error: OSError) -> None:
        self.write_error = error
        self.stop()

    def stop(self) -> None:
        """Done: take the knotes back."""
        self.done = True
        self._delete(self._inlet.fd, EVFILT_READ)
        if self._writes is not None:
            self._delete(self._outlet.fd, EVFILT_WRITE)
        if self._resting:
            self._delete(id(self), EVFILT_TIMER)

    def _delete(self, ident: int, number: int) -> None:
        try:
            self._queue.control([kevent(ident, number, EV_DELETE)], 0)
        except OSError:
            pass  # ENOENT: a pipe's WRITE knote goes with its reader, by itself


def run(queue: kqueue, flow: Flow) -> None:
    """Deliver the queue's events until the flow is done."""
    control = queue.control
    while not flow.done:
        deliver(control(None, 8, None))
