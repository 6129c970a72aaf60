cdef extern from "kn_snapshot.h" nogil:
    struct kn_snapshot:
        pass


cdef class Snapshot:
    cdef readonly bint regular
    cdef readonly bint directory
    cdef kn_snapshot _taken
    cpdef int take(self, int fd) noexcept
    cpdef int compare(self, int fd, int parts) noexcept
