"""Clocks, timerfd_create(2) and eventfd(2), interpreted.  The compiled twin is time.pyx over kn_time.h."""

from __future__ import annotations

import ctypes
import math
import os
import time
from collections.abc import Callable

from knote._kernel._libc import function


class _itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_sec", ctypes.c_long),
        ("interval_nsec", ctypes.c_long),
        ("value_sec", ctypes.c_long),
        ("value_nsec", ctypes.c_long),
    )


_TFD_TIMER_ABSTIME = 1
_TRIES = 4
_create = function("timerfd_create", ctypes.c_int, ctypes.c_int)
_settime = function(
    "timerfd_settime", ctypes.c_int, ctypes.c_int, ctypes.POINTER(_itimerspec), ctypes.c_void_p
)
_eventfd = function("eventfd", ctypes.c_uint, ctypes.c_int)


def now_ns(clock: int) -> int:
    """Nanoseconds of a CLOCK_*."""
    return time.clock_gettime_ns(clock)


def ceil_ns(seconds: float) -> int:
    """Nanoseconds of so many seconds, at least 0 and below 2**62 ns, rounded up."""
    return math.ceil(seconds * 1e9)


def timer_create(clock: int) -> int:
    """A timerfd of that clock, or -errno."""
    return _create(clock, os.O_CLOEXEC | os.O_NONBLOCK)


def timer_set(fd: int, deadline_ns: int) -> int:
    """Fire at deadline_ns of its clock; negative disarms.  0 is kept from disarming (spec S-465)."""
    its = _itimerspec()
    if deadline_ns >= 0:
        its.value_sec, its.value_nsec = divmod(max(deadline_ns, 1), 1_000_000_000)
    return _insist(lambda: _settime(fd, _TFD_TIMER_ABSTIME, ctypes.byref(its), None))


def _insist(call: Callable[[], int]) -> int:
    # Nobody may hear of a refusal here, and a deadline or a wake-up would be lost.
    rc = 0
    for _ in range(_TRIES):
        try:
            rc = call()
        except BlockingIOError:
            return 0  # it is as high, or as low, as it goes
        except OSError as error:
            rc = -(error.errno or 0)
        if rc >= 0:
            return 0
    return rc


def wake_create() -> int:
    """An eventfd, or -errno."""
    return _eventfd(0, os.O_CLOEXEC | os.O_NONBLOCK)


def wake_raise(fd: int) -> int:
    """Make it readable; one that cannot count higher is readable already."""
    return _insist(lambda: os.write(fd, (1).to_bytes(8, "little")))


def wake_lower(fd: int) -> int:
    """Make it unreadable; one that is already says EAGAIN."""
    return _insist(lambda: len(os.read(fd, 8)))


def close_fd(fd: int) -> int:
    """close(2); an error is given back, as -errno, and the number is free all the same."""
    try:
        os.close(fd)
    except OSError as error:
        return -(error.errno or 0)
    return 0


def run_signal_handlers(yielding: bool) -> int:
    """Let Python's signal handlers run and, if asked for, another thread that wants the GIL; here both can between
    any two instructions."""
    return 0
