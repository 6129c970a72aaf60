cimport cython

from knote._kernel.batch cimport Batch


cdef extern from "kn_epoll.h" nogil:
    int kn_epoll_ctl(int ep, int op, int fd, unsigned int mask, unsigned long long token)


@cython.final
cdef class Epoll:
    cdef readonly int fd

    cdef inline int ctl(self, int op, int fd, unsigned int mask, unsigned long long token) noexcept:
        return kn_epoll_ctl(self.fd, op, fd, mask, token)

    cpdef int wait(self, Batch batch, int capacity, long long timeout_ns) noexcept
    cpdef int replace(self) noexcept
    cpdef void close(self) noexcept
