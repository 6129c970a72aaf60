from knote._kernel.batch cimport Batch


cdef class Epoll:
    cdef readonly int fd
    cpdef int ctl(self, int op, int fd, unsigned int mask, unsigned long long token) noexcept
    cpdef int wait(self, Batch batch, int capacity, long long timeout_ns) noexcept
    cpdef int replace(self) noexcept
    cpdef void close(self) noexcept
