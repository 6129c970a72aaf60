"""What one wait reported.  See kn_batch.h."""

from libc.stdlib cimport free, realloc


cdef class Batch:
    def __dealloc__(self):
        free(self.hits)

    cpdef int reserve(self, int capacity) except -1:
        cdef void *grown
        if capacity > self.capacity:
            grown = realloc(self.hits, <size_t>capacity * sizeof(kn_hit))
            if grown == NULL:
                raise MemoryError
            self.hits = <kn_hit *>grown
            self.capacity = capacity
        return 0

    def pairs(self, n):
        return [(self.token(i), self.mask(i)) for i in range(min(n, self.capacity))]
