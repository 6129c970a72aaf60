"""A set of descriptors that is handed to the kernel at each wait.  See kn_watchset.h."""

from knote._kernel.batch cimport Batch


cdef class WatchSet:
    def __cinit__(self):
        self.wake = -1
        self._set.wake = -1

    def __dealloc__(self):
        kn_watchset_close(&self._set)

    cpdef bint lost(self) noexcept:
        return self._set.lost

    cpdef int reserve(self, int more, int fd) except -1:
        if kn_watchset_reserve(&self._set, more, fd) < 0:
            raise MemoryError
        return 0

    cpdef int put(self, int fd, unsigned int mask, unsigned long long token) noexcept:
        return kn_watchset_put(&self._set, fd, mask, token)

    cpdef void clear(self) noexcept:
        kn_watchset_clear(&self._set)

    cpdef int wait(self, Batch batch, int capacity, long long timeout_ns) noexcept:
        cdef int n
        with nogil:
            n = kn_watchset_wait(&self._set, batch.hits, capacity, timeout_ns)
        return n

    cpdef void close(self) noexcept:
        kn_watchset_close(&self._set)
        self.wake = -1
