"""What one wait reported: (token, mask) pairs.  The compiled twin is batch.pyx over kn_batch.h."""

from __future__ import annotations

import ctypes


class epoll_event(ctypes.Structure):
    """struct epoll_event: packed on x86-64 only (epoll_ctl(2), sys/epoll.h)."""

    import platform as _platform

    if _platform.machine() in ("x86_64", "AMD64"):
        _pack_ = 1
    _fields_ = (("events", ctypes.c_uint32), ("data", ctypes.c_uint64))


class Batch:
    """Room for the (token, mask) pairs of one wait.  It belongs to one control() call at a time."""

    def __init__(self) -> None:
        self.capacity = 0
        self.hits: ctypes.Array[epoll_event] = (epoll_event * 0)()

    def reserve(self, capacity: int) -> int:
        """Make room for capacity pairs; what was there is gone.  MemoryError if there is no memory."""
        if capacity > self.capacity:
            self.hits = (epoll_event * capacity)()
            self.capacity = capacity
        return 0

    def token(self, i: int) -> int:
        """The i-th pair's token: slot in the low, generation in the high 32 bits."""
        token: int = self.hits[i].data
        return token

    def pairs(self, n: int) -> list[tuple[int, int]]:
        """The first n pairs, for who looks at them from Python."""
        return [(self.token(i), self.mask(i)) for i in range(min(n, self.capacity))]

    def mask(self, i: int) -> int:
        """The i-th pair's mask, in poll(2)'s bits."""
        mask: int = self.hits[i].events
        return mask

    def put(self, i: int, token: int, mask: int) -> int:
        """Make it the i-th pair."""
        self.hits[i].data = token
        self.hits[i].events = mask
        return 0
