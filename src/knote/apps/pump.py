# cython: annotation_typing=False
"""A flow that leaves the bytes in the kernel, where the two ends allow it."""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import TYPE_CHECKING

from knote import EVFILT_READ, EVFILT_TIMER, EVFILT_WRITE, kevent, kqueue
from knote.apps.flow import Flow
from knote.apps.ways import PIPE, Way, enlarge, ways

if TYPE_CHECKING:
    from knote.apps.holes import Holes
    from knote.apps.inlet import Inlet
    from knote.apps.meter import Meter
    from knote.apps.outlet import Outlet

TURNS = 16
"""Moves after one event, before others have their turn."""
_ONE, _MANY = range(1), range(TURNS)
_IN_VAIN = 100
"""So often in a row both ends say that they are ready and nothing moves: somebody else reads or writes there."""

_FULL = 64 * 1024
"""A pipe of the usual size that was filled in one go is worth enlarging."""


class Pump(Flow):
    """Only one end is watched, the one that holds the stream up.  A move that says EAGAIN has an empty source or
    a full target, and does not say which: where the one was waited for, it is the other.  With both watched by
    edge, a mebibyte through two pipes took 1.8 waits and as many moves in vain; so it takes one wait and one move.

    What a way refuses or fails at, the next one does, and read and write at the last: they tell which of the two
    ends has an error, and only they are believed that an end has come (files of /proc).
    """

    __slots__ = ("_enlarged", "_full", "_holes", "_size", "_vain", "_ways")

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
        self._full = False  # it is the target that is waited for
        self._vain = 0
        self._size = 0  # bytes that a file had when it began

    @property
    def pending(self) -> int:
        """As Flow.pending; where the bytes stay in the kernel, 1 while the source has some or is at its end."""
        if not self._ways or self.done:
            return super().pending
        return int(bool(self._state()))

    def _state(self) -> int:
        poll = select.poll()
        poll.register(self._inlet.fd, select.POLLIN)
        return sum(events for _, events in poll.poll(0))

    def _at_end(self) -> bool:
        """Whether nothing is left to move: splice says EPIPE before it looks."""
        if self._inlet.kind == stat.S_IFREG:
            return os.lseek(self._inlet.fd, 0, os.SEEK_CUR) >= os.fstat(self._inlet.fd).st_size
        return self._state() == select.POLLHUP

    def start(self) -> None:
        """Wait for the first byte."""
        if not self._ways:
            super().start()
            return
        self.way = self._ways[0].name
        if self._inlet.kind == stat.S_IFREG:
            self._size = self._inlet.size - os.lseek(self._inlet.fd, 0, os.SEEK_CUR)
            if self._size > _FULL:
                self._enlarge()
        self._listen()

    def ready(self, event: kevent) -> None:
        """An end has become ready, or the pause that the meter asked for is over."""
        if not self._ways:
            Flow.ready(self, event)  # super() needs a cell, which a cpdef method has not
            return
        if self.done:
            return
        if event.filter == EVFILT_TIMER:
            self._resting = False
            self._want(read=not self._full, write=self._full)
        if not self._resting:
            self._pump()

    def _pump(self) -> None:
        source, target = self._inlet.fd, self._outlet.fd
        way = self._ways[0]
        # A file is never empty, so whether the target has room again is found out by trying.
        for _ in _MANY if self._inlet.kind == stat.S_IFREG and way.most <= PIPE else _ONE:
            room = way.most
            if self._meter is not None:
                room = min(room, self._meter.room())
                if not room:
                    self._rest()
                    self._want(read=False, write=False)
                    return
            if self._holes is not None:
                skipped, room = self._holes.next(room)
                self.total += skipped
            try:
                count = way.move(source, target, room)
            except BlockingIOError:
                self._turn()
                return
            except OSError as error:
                self._failed(error)
                return
            if not count:
                self._next_way(to_the_last=True)
                return
            self.total += count
            self._vain = 0
            if self._meter is not None:
                self._meter.spend(count)
            if count >= _FULL and not self._enlarged:
                self._enlarge()

    def _turn(self) -> None:
        """Wait for the other end.  What is always writable holds nothing up, and a file always has something."""
        self._vain += 1
        if self._vain > _IN_VAIN:
            self._next_way(to_the_last=True)
            return
        if self._inlet.kind == stat.S_IFREG:
            if self.total >= self._size and self._at_end():
                self._next_way(to_the_last=True)  # a full pipe is no reason to stay when all is in it
                return
            self._full = True
        elif self._outlet.kind in (stat.S_IFIFO, stat.S_IFSOCK):
            self._full = not self._full
        self._want(read=not self._full, write=self._full)

    def _failed(self, error: OSError) -> None:
        if error.errno in _REFUSALS:
            self._next_way(to_the_last=False)
        elif (error.errno == errno.EPIPE and not self._at_end()) or (
            self._outlet.kind == stat.S_IFSOCK and error.errno != errno.EIO
        ):
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
            return
        if not self.total:
            self.way = "read and write"
        self._delete(self._inlet.fd, EVFILT_READ)
        if self._writes is not None:
            self._delete(self._outlet.fd, EVFILT_WRITE)
            self._writes = None
        self._listens = False
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
