cimport cython

from knote._kernel.time cimport close_fd, now_ns, timer_create, timer_set
from knote.knote cimport Knote

cdef long long NEVER


@cython.final
cdef class Clock:
    cdef readonly int id
    cdef readonly int fd
    cdef list _heap
    cdef long long _armed
    cdef unsigned long long _serial
    cdef Py_ssize_t _stale
    cpdef long long now(self)
    cpdef add(self, Knote kn)
    @cython.locals(entry=tuple, kn=Knote)
    cpdef forget(self)
    @cython.locals(entry=tuple, kn=Knote, due=cython.longlong)
    cpdef Knote expired(self, long long now)
    @cython.locals(entry=tuple, kn=Knote, due=cython.longlong, rc=cython.int)
    cpdef int arm(self) except -10000
    cpdef fired(self)
    cpdef close(self)
