"""What C saves by io_uring(7): many changes, or many counts of bytes, by one call.  See c/rings.c."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from functools import cache

from bench import native
from bench.model import Unavailable
from bench.peers import no_io_uring

_INT, _LONG, _POINTER, _MASK = ctypes.c_int, ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint32


@cache
def _library() -> ctypes.CDLL:
    try:
        made = native.compiled("rings.c", "-shared", "-fPIC", libraries=("-luring",))
    except Unavailable as error:
        if "liburing.h: No such file" in str(error):
            raise Unavailable("liburing.h is not installed: apt install liburing-dev") from None
        raise
    library = ctypes.CDLL(str(made))
    numbers, out = ctypes.POINTER(_INT), ctypes.POINTER(_LONG)
    library.batch_open.argtypes, library.batch_open.restype = [numbers], _POINTER
    library.batch_close.argtypes, library.batch_close.restype = [_POINTER], None
    library.batch_change_wait.argtypes = [_POINTER, _INT, numbers, _INT, _MASK, _MASK, _INT, _LONG]
    library.batch_wait_readable.argtypes = [_POINTER, _INT, _INT, _LONG, out]
    library.batch_change_wait.restype = library.batch_wait_readable.restype = _LONG
    return library


class Batch:
    """A ring of C's own, until close().  Unavailable where there is none, with the reason."""

    def __init__(self) -> None:
        if why := no_io_uring():
            raise Unavailable(why)
        error = _INT()
        self._library = _library()
        self._batch = self._library.batch_open(ctypes.byref(error))
        if not self._batch:
            raise Unavailable(os.strerror(error.value))

    def change_wait(
        self, epoll: int, fds: Sequence[int], wide: int, narrow: int, ready: int
    ) -> Callable[[int], int]:
        """As native.change_wait()."""
        numbers = (_INT * len(fds))(*fds)

        def run(turns: int) -> int:
            call = self._library.batch_change_wait
            return native.checked(call(self._batch, epoll, numbers, len(fds), wide, narrow, ready, turns))

        return run

    def wait_readable(self, epoll: int, room: int, readable: int) -> Callable[[int], int]:
        """As native.wait_fionread(), of TCP sockets."""

        def run(turns: int) -> int:
            counted = _LONG()
            call = self._library.batch_wait_readable
            taken = native.checked(call(self._batch, epoll, room, turns, ctypes.byref(counted)))
            assert counted.value == readable * turns, (counted.value, readable, turns)
            return taken

        return run

    def close(self) -> None:
        """Give the ring back."""
        self._library.batch_close(self._batch)
