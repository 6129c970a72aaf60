"""Bytes on their way from an inlet to an outlet, as fast as the slower of the two."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote import (
    EV_ADD,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EV_KEEPUDATA,
    EVFILT_READ,
    EVFILT_WRITE,
    NOTE_FILE_POLL,
    NOTE_NODATA,
    kevent,
    kqueue,
)
from knote.apps.handler import Handler, deliver

if TYPE_CHECKING:
    from knote.apps.inlet import Inlet
    from knote.apps.outlet import Outlet

ROOM = 128 * 1024
"""The buffer: what is read at once, and the most that is ever held."""

# FILE_POLL: a file at its end is readable too, since reading says that this is the end (on every BSD a READ
# knote without it is silent there, and a copier that waits for it hangs).
_NOTES = NOTE_NODATA | NOTE_FILE_POLL


class Flow(Handler):
    """One buffer, so memory is bounded: what is in it is written before more is read.

    READ is enabled while the buffer is empty and WRITE while the outlet has no room for what is in it; so an end
    that is not wanted costs nothing.  Errors do not leave ready(): read_error and write_error hold them, with
    the end's name as their filename, and the flow is done.
    """

    __slots__ = (
        "_added", "_buffer", "_inlet", "_outlet", "_queue", "_start", "_stop", "done", "read_error", "total",
        "write_error",
    )  # fmt: skip

    def __init__(self, queue: kqueue, inlet: Inlet, outlet: Outlet) -> None:
        self._queue = queue
        self._inlet = inlet
        self._outlet = outlet
        self._buffer = memoryview(bytearray(ROOM))
        self._start = 0
        self._stop = 0
        self._added = False
        self.done = False
        self.total = 0
        self.read_error: OSError | None = None
        self.write_error: OSError | None = None

    @property
    def pending(self) -> int:
        """Bytes that were read and not written."""
        return self._stop - self._start

    def start(self) -> None:
        """Wait for the first byte."""
        try:
            self._queue.control([kevent(self._inlet.fd, EVFILT_READ, EV_ADD, _NOTES, 0, self)], 0)
        except OSError as error:
            self.read_error = OSError(error.errno, error.strerror, self._inlet.name)
            self.done = True

    def ready(self, event: kevent) -> None:
        """An end is ready."""
        if self.done:
            return
        if event.filter == EVFILT_WRITE:
            self._write()
            if self._start == self._stop and not self.done:
                self._turn(EV_DISABLE, EV_ENABLE)
        elif self._start == self._stop:
            self._read()

    def _read(self) -> None:
        try:
            count = self._inlet.read_into(self._buffer)
        except OSError as error:
            self.read_error = error
            self.stop()
            return
        if count < 0:
            return
        if count == 0:
            self.stop()
            return
        self._start, self._stop = 0, count
        if not self._outlet.patient:
            self._write()
        if self._start < self._stop and not self.done:
            self._turn(EV_ENABLE, EV_DISABLE)

    def _write(self) -> None:
        try:
            count = self._outlet.write(self._buffer[self._start : self._stop])
        except OSError as error:
            self._broke(error)
            return
        self._start += count
        self.total += count

    def _turn(self, write: int, read: int) -> None:
        """Wait for the other end."""
        changes = [kevent(self._inlet.fd, EVFILT_READ, read | EV_KEEPUDATA, _NOTES)]
        if self._added:
            changes.append(kevent(self._outlet.fd, EVFILT_WRITE, write | EV_KEEPUDATA, NOTE_NODATA))
        else:
            # Not before it is needed: a pipe that nobody reads refuses it, and nothing may ever be written.
            changes.append(kevent(self._outlet.fd, EVFILT_WRITE, EV_ADD, NOTE_NODATA, 0, self))
        try:
            self._queue.control(changes, 0)
        except OSError as error:
            self._broke(OSError(error.errno, error.strerror, self._outlet.name))
            return
        self._added = True

    def _broke(self, error: OSError) -> None:
        self.write_error = error
        self.stop()

    def stop(self) -> None:
        """Done: take the knotes back."""
        self.done = True
        self._delete(self._inlet.fd, EVFILT_READ)
        if self._added:
            self._delete(self._outlet.fd, EVFILT_WRITE)

    def _delete(self, fd: int, number: int) -> None:
        try:
            self._queue.control([kevent(fd, number, EV_DELETE)], 0)
        except OSError:
            pass  # ENOENT: a pipe's WRITE knote goes with its reader, by itself


def run(queue: kqueue, flow: Flow) -> None:
    """Deliver the queue's events until the flow is done."""
    control = queue.control
    while not flow.done:
        deliver(control(None, 8, None))
