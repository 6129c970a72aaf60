from knote._kernel.epoll cimport Epoll
from knote._kernel.fd cimport Counts
from knote._kernel.uring cimport Uring


cdef class RingCalls:
    cdef Uring _uring
    cdef readonly int fd
    cdef readonly bint counts
    cpdef int flush(self, Epoll ep) noexcept
    cpdef int fetch(self, Counts counts) noexcept
    cpdef void close(self) noexcept
