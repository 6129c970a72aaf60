"""Many epoll_ctl(2), or many ioctl(2), by one io_uring_enter(2).  See kn_ringcalls.h."""

from knote._kernel.epoll cimport Epoll, kn_ctl
from knote._kernel.fd cimport Counts
from knote._kernel.uring cimport Uring, kn_ring


cdef extern from "kn_ringcalls.h" nogil:
    int kn_ring_ctl_many(kn_ring *ring, int ep, kn_ctl *changes, int n)
    int kn_ring_readable_many(kn_ring *ring, const int *fds, int *counts, int n)


cdef class RingCalls:
    def __cinit__(self, unsigned int entries, unsigned int flags):
        self._uring = Uring(entries, 2 * entries, flags)
        self.fd = self._uring.fd
        self.counts = True

    cpdef int flush(self, Epoll ep) noexcept:
        cdef int done = kn_ring_ctl_many(&self._uring._ring, ep.fd, ep._staged, ep.count)
        ep.count = 0
        return done

    cpdef int fetch(self, Counts counts) noexcept:
        if kn_ring_readable_many(&self._uring._ring, counts._fds, counts._counts, counts.n):
            self.counts = False
        return 0

    cpdef void close(self) noexcept:
        self._uring.close()
        self.fd = -1
