cimport cython

from knote._kernel.batch cimport Batch
from knote._kernel.time cimport now_ns
from knote._kernel.watchset cimport WatchSet
from knote.engines.base cimport Engine
from knote.engines.epoll cimport EpollEngine

cdef int CLOCK_MONOTONIC, _EACCES, _EBADF, _EINVAL, _ENOENT, _EPERM, _ERANGE


cdef class ListedEngine(Engine):
    cdef EpollEngine _witness
    cdef WatchSet _set
    cdef list _staged
    cdef bint _lost
    cdef bint _beyond
    cdef bint _late
    cdef bint _misses
    cdef int _limit
    @cython.locals(rc=cython.int)
    cpdef int watch(self, int fd, unsigned int old, unsigned int new, unsigned long long token) noexcept
    @cython.locals(held=cython.bint)
    cpdef bint holds(self, int fd) noexcept
    cpdef forget(self, int fd, unsigned long long token)
    cpdef int stage(self, int fd, unsigned int old, unsigned int new, unsigned long long token) except -1
    @cython.locals(told=cython.int, done=cython.int, i=cython.int, fd=cython.int, old=cython.uint, new=cython.uint,
                   token=cython.ulonglong)
    cpdef int flush(self) noexcept
    @cython.locals(n=cython.int, told=cython.int, lost=cython.bint, timeout=cython.longlong)
    cpdef int wait(self, Batch batch, int capacity, long long deadline_ns) noexcept
    cpdef int rebuild(self) noexcept
    cpdef close(self)
