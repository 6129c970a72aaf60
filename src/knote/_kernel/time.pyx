"""Clocks, timers and the wake descriptor.  See kn_time.h."""

from cpython.exc cimport PyErr_CheckSignals
from posix.unistd cimport close as c_close


cdef extern from "kn_time.h" nogil:
    long long kn_now(int clock)
    long long kn_ceil_ns(double seconds)
    int kn_timer_create(int clock)
    int kn_timer_set(int fd, long long deadline_ns)
    int kn_wake_create()
    int kn_wake_raise(int fd)
    int kn_wake_lower(int fd)


cpdef long long now_ns(int clock) noexcept:
    return kn_now(clock)

cpdef long long ceil_ns(double seconds) noexcept:
    return kn_ceil_ns(seconds)

cpdef int timer_create(int clock) noexcept:
    return kn_timer_create(clock)

cpdef int timer_set(int fd, long long deadline_ns) noexcept:
    return kn_timer_set(fd, deadline_ns)

cpdef int wake_create() noexcept:
    return kn_wake_create()

cpdef int wake_raise(int fd) noexcept:
    cdef int rc
    # It blocks nobody, but who is woken by it wants the GIL.
    with nogil:
        rc = kn_wake_raise(fd)
    return rc

cpdef int wake_lower(int fd) noexcept:
    return kn_wake_lower(fd)

cpdef int close_fd(int fd) noexcept:
    return c_close(fd)

cpdef int run_signal_handlers(bint yielding) except -1:
    if yielding:
        # Compiled code lets go of the GIL nowhere else but to sleep.  Who has wanted it for 5 ms gets it now:
        # CPython's drop_gil() waits until it is taken.
        with nogil:
            pass
    return PyErr_CheckSignals()
