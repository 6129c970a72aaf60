"""poll(2) through ctypes; the compiled twin is poll.pyx over kn_poll.h.

select.poll() goes back to sleep by itself after a signal; ppoll(2) says EINTR, as the C room does.
"""

from __future__ import annotations

import ctypes

from knote._kernel._libc import function
from knote._kernel.watchset import WatchSet


class timespec(ctypes.Structure):
    """struct timespec."""

    _fields_ = (("sec", ctypes.c_long), ("nsec", ctypes.c_long))


_ppoll = function("ppoll", ctypes.c_void_p, ctypes.c_ulong, ctypes.c_void_p, ctypes.c_void_p)


def _poll(asked: bytearray, timeout_ns: int) -> int:
    timeout = None if timeout_ns < 0 else ctypes.byref(timespec(*divmod(timeout_ns, 1_000_000_000)))
    return _ppoll((ctypes.c_char * len(asked)).from_buffer(asked), len(asked) // 8, timeout, None)


class Poll(WatchSet):
    """A set that poll(2) waits on."""

    def _sleep(self, asked: bytearray, timeout_ns: int) -> int:
        return _poll(asked, timeout_ns)
