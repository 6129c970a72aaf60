cimport cython

from knote._kernel.batch cimport Batch


cdef extern from "kn_epoll.h" nogil:
    struct kn_ctl:
        unsigned long long token
        int op
        int fd
        unsigned int mask
        unsigned int old
    int kn_epoll_ctl(int ep, int op, int fd, unsigned int mask, unsigned long long token)


@cython.final
cdef class Epoll:
    cdef readonly int fd
    cdef kn_ctl *_staged
    cdef readonly int count
    cdef int _capacity

    cdef inline int ctl(self, int op, int fd, unsigned int mask, unsigned long long token) noexcept:
        return kn_epoll_ctl(self.fd, op, fd, mask, token)

    cdef inline int stage(self, int op, int fd, unsigned int old, unsigned int mask,
                          unsigned long long token) except -1:
        if self.count == self._capacity:
            self._grow()
        cdef kn_ctl *change = &self._staged[self.count]
        change.token = token
        change.op = op
        change.fd = fd
        change.mask = mask
        change.old = old
        self.count += 1
        return 0

    cdef int _grow(self) except -1
    cpdef int flush(self) noexcept
    cpdef int wait(self, Batch batch, int capacity, long long timeout_ns) noexcept
    cpdef int replace(self) noexcept
    cpdef void close(self) noexcept
