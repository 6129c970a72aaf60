cimport cython

from knote._kernel.batch cimport Batch
from knote._kernel.epoll cimport Epoll
from knote._kernel.time cimport now_ns
from knote.engines.base cimport Engine

cdef int ADD, DEL, MOD, CLOCK_MONOTONIC, _EEXIST, _ENOENT, _EBADF, _EPERM, _ENOSPC


cdef class EpollEngine(Engine):
    cdef Epoll _ep
    cpdef int watch(self, int fd, unsigned int old, unsigned int new, unsigned long long token) noexcept
    @cython.locals(rc=cython.int)
    cpdef bint holds(self, int fd) noexcept
    cpdef int stage(self, int fd, unsigned int old, unsigned int new, unsigned long long token) except -1
    cpdef int flush(self) noexcept
    cpdef int wait(self, Batch batch, int capacity, long long deadline_ns) noexcept
    cpdef int rebuild(self) noexcept
    cpdef close(self)
