cimport cython

cdef extern from "kn_batch.h" nogil:
    ctypedef struct kn_hit:
        pass
    unsigned long long kn_hit_token(const kn_hit *hits, int i)
    unsigned int kn_hit_mask(const kn_hit *hits, int i)
    void kn_hit_put(kn_hit *hits, int i, unsigned long long token, unsigned int mask)


@cython.final
cdef class Batch:
    cdef kn_hit *hits
    cdef readonly int capacity
    cpdef int reserve(self, int capacity) except -1

    cdef inline unsigned long long token(self, int i) noexcept:
        return kn_hit_token(self.hits, i)

    cdef inline unsigned int mask(self, int i) noexcept:
        return kn_hit_mask(self.hits, i)

    cdef inline int put(self, int i, unsigned long long token, unsigned int mask) noexcept:
        kn_hit_put(self.hits, i, token, mask)
        return 0
