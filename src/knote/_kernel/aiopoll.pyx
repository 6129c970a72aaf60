"""Polls of Linux' AIO, thin.  See kn_aiopoll.h and kn_aiowait.h."""

from knote._kernel.batch cimport Batch
from knote._kernel.fork cimport fork_count
from knote._kernel.watchset cimport WatchSet


cdef class AioPolls(WatchSet):
    def __cinit__(self):
        cdef int rc = kn_aiopolls_open(&self._polls, fork_count())
        self.wake = rc if rc < 0 else self._polls.wake

    def __dealloc__(self):
        kn_aiopolls_close(&self._polls, fork_count())

    cpdef bint lost(self) noexcept:
        return self._polls.lost

    cpdef int reserve(self, int more, int fd) except -1:
        return kn_aiopolls_reserve(&self._polls, more, fd) < 0

    cpdef int put(self, int fd, unsigned int mask, unsigned long long token) noexcept:
        return kn_aiopolls_put(&self._polls, fd, mask, token)

    cpdef void clear(self) noexcept:
        kn_aiopolls_clear(&self._polls)

    cpdef int wait(self, Batch batch, int capacity, long long timeout_ns) noexcept:
        cdef int n
        with nogil:
            n = kn_aiopolls_wait(&self._polls, batch.hits, capacity, timeout_ns)
        return n

    cpdef void close(self) noexcept:
        cdef unsigned int forks = fork_count()
        with nogil:
            kn_aiopolls_close(&self._polls, forks)
        self.wake = -1
