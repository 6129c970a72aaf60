"""A set of descriptors that is handed to the kernel at each wait; the compiled twin is watchset.pyx over
kn_watchset.h.

A signal handler can come in anywhere, on the thread that holds the lock: hence one that can be taken again, dicts
that are copied in one go, and a second look at who waits before the wake descriptor stays down.
"""

from __future__ import annotations

import errno
import itertools
import os
import struct
import threading
import time

from knote._kernel.batch import Batch
from knote._kernel.time import wake_lower, wake_raise

_ROW = struct.Struct("ihh")
_IN, _NVAL = 1, 0x20
SILENT = 0


class WatchSet:
    """Descriptors, masks and tokens; any number of threads may wait while others change them."""

    def __init__(self) -> None:
        try:
            self.wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        except OSError as error:
            self.wake = -(error.errno or 0)
        self._lock = threading.RLock()
        self._rows: dict[int, tuple[bytes, int]] = {}
        self._version = 0
        self._inside: dict[int, int] = {}
        self._turns = itertools.count()
        self._from = -1
        self._lost = False
        self._news: dict[int, int] = {}
        """Of the descriptors of which something else tells: the number of its last news; SILENT once there was
        nothing, and it is left out of the waits until there is news."""

    def lost(self) -> bool:
        """A number was closed, or became another file."""
        return self._lost

    def reserve(self, more: int, fd: int) -> int:
        """Room for more descriptors up to number fd: put() cannot fail then.  MemoryError."""
        return 0

    def put(self, fd: int, mask: int, token: int) -> int:
        """Watch fd for mask under token; with 0 no longer.  0, or -errno: those who sleep could not be told."""
        with self._lock:
            if not mask and fd not in self._rows:
                return 0
            rc = self._changed()
            if rc < 0 and mask:
                return rc
            if mask:
                if fd in self._rows and self._rows[fd][1] != token:
                    self._lost = True  # the number had another life, which nobody ended
                self._rows[fd] = (_ROW.pack(fd, mask & 0x7FFF, 0), token)
            else:
                self._rows.pop(fd, None)
            self._news.pop(fd, None)
        return 0

    def clear(self) -> None:
        """Watch nothing."""
        with self._lock:
            self._rows.clear()
            self._news.clear()
            self._lost = False
            self._changed()

    def _changed(self) -> int:
        # -errno: whoever waits could not be told, and sleeps on.
        self._version += 1
        return wake_raise(self.wake) if self._inside else 0

    def _stale(self) -> bool:
        return any(version != self._version for version in self._inside.copy().values())

    def _leave(self, turn: int, woken: int) -> None:
        with self._lock:
            version = self._inside.pop(turn)
            if self._stale() or (version == self._version and not woken):
                return
            wake_lower(self.wake)
            if self._stale():
                wake_raise(self.wake)

    def wait(self, batch: Batch, capacity: int, timeout_ns: int) -> int:
        """Fill batch with at most capacity pairs; 0: not at all, -1: for ever.  How many, or -errno; 0 also when
        a number was found closed."""
        due = time.monotonic_ns() + timeout_ns if timeout_ns > 0 else timeout_ns
        while True:
            left = max(due - time.monotonic_ns(), 0) if due > 0 else due
            turn = next(self._turns)
            with self._lock:
                if left:
                    self._inside[turn] = self._version
                news = self._news.copy()
                rows = [row for fd, row in self._rows.copy().items() if news.get(fd) != SILENT]
                turned = self._from
                lost = self._lost
            if turned > 0:
                turned %= max(len(rows), 1)
                rows = rows[turned:] + rows[:turned]
            asked = bytearray(_ROW.pack(self.wake, _IN, 0) + b"".join([row for row, _ in rows]))
            try:
                rc = self._sleep(asked, left)
            finally:
                if left:
                    self._leave(turn, _ROW.unpack_from(asked)[2])
            if rc >= 0 and news:
                self._silence(asked, news)
            found = self._harvest(asked, rows, batch, capacity, max(turned, 0)) if rc > 0 else 0
            if rc < 0 or found or not left or (self._lost and not lost):
                return rc if rc < 0 else found

    def _silence(self, asked: bytearray, news: dict[int, int]) -> None:
        with self._lock:
            for fd, _events, revents in _ROW.iter_unpack(asked):
                if not revents and fd in news and self._news.get(fd) == news[fd]:
                    self._news[fd] = SILENT

    def _harvest(
        self, asked: bytearray, rows: list[tuple[bytes, int]], batch: Batch, capacity: int, turned: int
    ) -> int:
        found = 0
        for i, (fd, _events, revents) in enumerate(_ROW.iter_unpack(asked)):
            if not revents or not i:
                continue
            if found == capacity:
                self._from = (turned + i - 1) % len(rows)
                return found
            token = rows[i - 1][1]
            if revents & _NVAL:
                row = self._rows.get(fd)
                if row is not None and row[1] == token:
                    del self._rows[fd]
                    self._lost = True
                continue
            batch.hits[found].data = token
            batch.hits[found].events = revents & 0xFFFF
            found += 1
        self._from = -1
        return found

    def _sleep(self, asked: bytearray, timeout_ns: int) -> int:
        return -errno.ENOSYS

    def close(self) -> None:
        """Give the descriptor back.  Idempotent; nobody waits any more."""
        if self.wake >= 0:
            os.close(self.wake)
            self.wake = -1
