"""epoll(7) through ctypes; the compiled twin is epoll.pyx over kn_epoll.h.

select.epoll takes no 64-bit token, only a descriptor: so ctypes (it lets go of the GIL on its own).
"""

from __future__ import annotations

import ctypes
import errno
import os

from knote._kernel._libc import function
from knote._kernel.batch import Batch, epoll_event

_create = function("epoll_create1", ctypes.c_int)
_ctl = function("epoll_ctl", ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.POINTER(epoll_event))
_wait = function("epoll_wait", ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int)
_INT_MAX = 2**31 - 1
_ADD, _MOD = 1, 3


class Epoll:
    """One epoll instance; every call gives n or -errno."""

    def __init__(self) -> None:
        self.fd = _create(os.O_CLOEXEC)
        self._staged: list[tuple[int, int, int, int, int]] = []
        self.count = 0
        """How many changes are staged."""

    def ctl(self, op: int, fd: int, mask: int, token: int) -> int:
        """epoll_ctl(2)."""
        return _ctl(self.fd, op, fd, ctypes.byref(epoll_event(mask, token)))

    def stage(self, op: int, fd: int, old: int, mask: int, token: int) -> int:
        """Put an epoll_ctl(2) aside for flush(); old is the mask that it replaces."""
        self._staged.append((op, fd, old, mask, token))
        self.count += 1
        return 0

    def flush(self) -> int:
        """Make the staged changes in order until one fails; how many were made."""
        done = 0
        for op, fd, _old, mask, token in self._staged:
            rc = self.ctl(op, fd, mask, token)
            if rc == -errno.EEXIST and op == _ADD:
                rc = self.ctl(_MOD, fd, mask, token)
            if rc < 0:
                break
            done += 1
        self._staged.clear()
        self.count = 0
        return done

    def wait(self, batch: Batch, capacity: int, timeout_ns: int) -> int:
        """epoll_wait(2), rounded up to 1 ms; -1 waits for ever."""
        ms = -1 if timeout_ns < 0 else min(-(-timeout_ns // 1_000_000), _INT_MAX)
        return _wait(self.fd, batch.hits, capacity, ms)

    def replace(self) -> int:
        """Put a new, empty instance under the same number."""
        fresh = _create(os.O_CLOEXEC)
        if fresh < 0:
            return fresh
        try:
            os.dup2(fresh, self.fd, inheritable=False)
        except OSError as error:
            return -(error.errno or 0)
        finally:
            os.close(fresh)
        return 0

    def close(self) -> None:
        """close(2); idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
