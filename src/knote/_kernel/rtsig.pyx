"""Signals that tell of descriptors, thin.  See kn_rtsig.h."""

from knote._kernel.fork cimport fork_count
from knote._kernel.watchset cimport WatchSet


cdef class RtSignals(WatchSet):
    def __cinit__(self):
        cdef int rc = kn_rtsigs_open(&self._signals, &self._set, fork_count())
        self.wake = rc if rc < 0 else self._set.wake

    def __dealloc__(self):
        kn_rtsigs_close(&self._signals, fork_count())

    cpdef int put(self, int fd, unsigned int mask, unsigned long long token) noexcept:
        return kn_rtsigs_put(&self._signals, fd, mask, token)

    cpdef void clear(self) noexcept:
        kn_rtsigs_clear(&self._signals)

    cpdef void close(self) noexcept:
        cdef unsigned int forks = fork_count()
        with nogil:
            kn_rtsigs_close(&self._signals, forks)
        self.wake = -1
