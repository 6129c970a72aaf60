"""POSIX AIO through ctypes; the compiled twin is aio.pyx over kn_aio.h."""

from __future__ import annotations

import collections
import ctypes
import errno
import os
import sys
import threading
import time
from typing import Any, ClassVar

from knote._kernel._libc import function
from knote._kernel.fork import fork_count
from knote._kernel.time import close_fd, wake_create, wake_lower, wake_raise

_SIGEV_THREAD = 2
_ENDED = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_used: list[int] = []


class _Sigevent(ctypes.Structure):
    _fields_ = (
        ("value", ctypes.c_size_t),
        ("signo", ctypes.c_int),
        ("notify", ctypes.c_int),
        ("function", _ENDED),
        ("attributes", ctypes.c_void_p),
        ("pad", ctypes.c_char * 32),
    )


class _Aiocb(ctypes.Structure):
    """glibc's struct aiocb, where a long has 64 bits."""

    _fields_ = (
        ("fildes", ctypes.c_int),
        ("opcode", ctypes.c_int),
        ("priority", ctypes.c_int),
        ("buffer", ctypes.c_void_p),
        ("length", ctypes.c_size_t),
        ("event", _Sigevent),
        ("inside", ctypes.c_char * 32),
        ("offset", ctypes.c_int64),
        ("reserved", ctypes.c_char * 32),
    )


def _has_glibc() -> bool:
    return hasattr(ctypes.CDLL(None), "gnu_get_libc_version") and ctypes.sizeof(ctypes.c_long) == 8


class PosixAio:
    """Requests that the C library carries out in threads of its own; every call gives n or -errno."""

    _calls: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self.fd = -errno.ENOSYS
        if not _has_glibc() or (_used and _used[0] != fork_count()):
            return
        if not self._calls:
            block = ctypes.POINTER(_Aiocb)
            for name in ("aio_read", "aio_write", "aio_error"):
                self._calls[name] = function(name, block)
            self._calls["aio_return"] = ctypes.CDLL(None).aio_return
            self._calls["aio_return"].argtypes = (block,)
            self._calls["aio_return"].restype = ctypes.c_ssize_t
            self._calls["aio_fsync"] = function("aio_fsync", ctypes.c_int, block)
            self._calls["aio_cancel"] = function("aio_cancel", ctypes.c_int, block)
        _used[:] = [fork_count()]
        self.fd = wake_create()
        self._blocks: dict[int, _Aiocb] = {}
        self._results: list[tuple[int, int]] = []
        self._over: collections.deque[int] = collections.deque()
        self._running = 0
        self._changed = threading.Condition()
        self._ended = _ENDED(self._told)

    def _told(self, token: int | None) -> None:
        with self._changed:
            self._over.append(token or 0)
            wake_raise(self.fd)
            self._running -= 1
            self._changed.notify_all()

    def start(self, op: int, fd: int, addr: int, len: int, offset: int, token: int) -> int:
        """Begin: op 0 read, 1 write, 2 fsync, 3 fdatasync."""
        block = _Aiocb(fildes=fd, buffer=addr, length=len, offset=offset)
        block.event.notify = _SIGEV_THREAD
        block.event.function = self._ended
        block.event.value = token
        with self._changed:
            self._running += 1
        self._blocks[token] = block
        if op == 0:
            rc = self._calls["aio_read"](block)
        elif op == 1:
            rc = self._calls["aio_write"](block)
        else:
            rc = self._calls["aio_fsync"](os.O_DSYNC if op == 3 else os.O_SYNC, block)
        if rc < 0:
            with self._changed:
                self._running -= 1
            del self._blocks[token]
        return int(rc)

    def reap(self) -> int:
        """Take results out; how many, 0 when there are none.  Never blocks."""
        if self.fd >= 0:
            wake_lower(self.fd)
        self._results = []
        while self._over:
            token = self._over.popleft()
            block = self._blocks.pop(token)
            error = self._calls["aio_error"](block)
            self._results.append((token, -error if error else self._calls["aio_return"](block)))
        return len(self._results)

    def token(self, i: int) -> int:
        """The i-th result's token."""
        return self._results[i][0]

    def result(self, i: int) -> int:
        """What its system call gave, or -errno."""
        return self._results[i][1]

    def cancel(self, token: int) -> int:
        """Ask for it; what came of it is told as any other end."""
        block = self._blocks.get(token)
        return 2 if block is None else int(self._calls["aio_cancel"](block.fildes, block))

    def abandon(self) -> None:
        """This is a forked child: the threads that would have ended it are the parent's."""
        if self.fd >= 0:
            close_fd(self.fd)
            self.fd = -1
            self._over.clear()

    def close(self) -> None:
        """Wait until none is under way; results can be reaped afterwards.  Idempotent."""
        if self.fd < 0:
            return
        if sys.is_finalizing():
            # Threads that are not Python's get no GIL any more, so nobody is told of an end.
            while any(self._calls["aio_error"](block) == errno.EINPROGRESS for block in self._blocks.values()):
                time.sleep(0.001)
            self._over.extend(token for token in self._blocks if token not in self._over)
        else:
            with self._changed:
                while self._running:
                    self._changed.wait()
        close_fd(self.fd)
        self.fd = -1
