from knote._kernel.batch cimport Batch
from knote._kernel.fd cimport Counts


cdef class Engine:
    cdef readonly int number
    cpdef int watch(self, int fd, unsigned int old, unsigned int new, unsigned long long token) noexcept
    cpdef bint holds(self, int fd) noexcept
    cpdef forget(self, int fd, unsigned long long token)
    cpdef int stage(self, int fd, unsigned int old, unsigned int new, unsigned long long token) except -1
    cpdef int flush(self) noexcept
    cpdef int wait(self, Batch batch, int capacity, long long deadline_ns) noexcept
    cpdef int fetch(self, Counts counts) noexcept
    cpdef int rebuild(self) noexcept
    cpdef close(self)
