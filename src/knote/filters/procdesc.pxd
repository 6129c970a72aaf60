cimport cython

from knote._kernel.pidfd cimport exit_status, pidfd_pid, pidfd_state
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.ready cimport ReadyList

cdef unsigned int EV_CLEAR, EV_EOF, EV_ONESHOT, NOTE_EXIT, IN, _NOT_TOLD
cdef int DROP, IS_ACTIVE, NOT_ACTIVE, _EAGAIN, _EBADF, _EINVAL, _EOPNOTSUPP


cdef class ProcDesc(Filter):
    cdef ReadyList _ready
    cpdef int attach(self, Knote kn) except -1
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    @cython.locals(fd=cython.int, status=cython.int)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
