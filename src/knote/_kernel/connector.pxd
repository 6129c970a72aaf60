cdef class Connector:
    cdef readonly int fd
    cdef void *_heard
    cpdef int tune(self, list pids, bint everything, bint exits) except -10000
    cpdef int read(self) noexcept
    cpdef unsigned int what(self, int i) noexcept
    cpdef int pid(self, int i) noexcept
    cpdef int value(self, int i) noexcept
    cpdef void close(self, bint stop) noexcept
