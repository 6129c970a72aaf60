"""The C allocator, thin.  See kn_heap.h."""


cdef extern from "kn_heap.h" nogil:
    int kn_heap_trim()


cpdef int trim() noexcept:
    cdef int rc
    # Some milliseconds for a heap of a hundred megabytes.
    with nogil:
        rc = kn_heap_trim()
    return rc
