"""Clocks, timerfd_create(2) and eventfd(2), interpreted.  The compiled twin is time.pyx over kn_time.h."""

from __future__ import annotations

import contextlib
import ctypes
import os
import time

from knote._kernel._libc import function


class _itimerspec(ctypes.Structure):
    _fields_ = (
        ("interval_sec", ctypes.c_long),
        ("interval_nsec", ctypes.c_long),
        ("value_sec", ctypes.c_long),
        ("value_nsec", ctypes.c_long),
    )


_TFD_TIMER_ABSTIME = 1
_create = function("timerfd_create", ctypes.c_int, ctypes.c_int)
_settime = function(
    "timerfd_settime", ctypes.c_int, ctypes.c_int, ctypes.POINTER(_itimerspec), ctypes.c_void_p
)
_eventfd = function("eventfd", ctypes.c_uint, ctypes.c_int)


def now_ns(clock: int) -> int:
    """Nanoseconds of a CLOCK_*."""
    return time.clock_gettime_ns(clock)


def timer_create(clock: int) -> int:
    """A timerfd of that clock, or -errno."""
    return _create(clock, os.O_CLOEXEC | os.O_NONBLOCK)


def timer_set(fd: int, deadline_ns: int) -> int:
    """Fire at deadline_ns of its clock; negative disarms.  0 is kept from disarming (spec S-465)."""
    its = _itimerspec()
    if deadline_ns >= 0:
        its.value_sec, its.value_nsec = divmod(max(deadline_ns, 1), 1_000_000_000)
    return _settime(fd, _TFD_TIMER_ABSTIME, ctypes.byref(its), None)


def wake_create() -> int:
    """An eventfd, or -errno."""
    return _eventfd(0, os.O_CLOEXEC | os.O_NONBLOCK)


def wake_raise(fd: int) -> int:
    """Make it readable; one that cannot count higher is readable already."""
    with contextlib.suppress(BlockingIOError):
        os.write(fd, (1).to_bytes(8, "little"))
    return 0


def wake_lower(fd: int) -> int:
    """Make it unreadable; one that is already says EAGAIN."""
    with contextlib.suppress(BlockingIOError):
        os.read(fd, 8)
    return 0


def close_fd(fd: int) -> int:
    """close(2); an error is given back, as -errno, and the number is free all the same."""
    try:
        os.close(fd)
    except OSError as error:
        return -(error.errno or 0)
    return 0


def run_signal_handlers() -> int:
    """Let Python's signal handlers run; here they do so between any two instructions."""
    return 0
