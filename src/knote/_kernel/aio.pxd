cdef class PosixAio:
    cdef readonly int fd
    cdef void *_home
    cdef void *_results
    cpdef int start(self, int op, int fd, unsigned long long addr, unsigned long long len, long long offset,
                    unsigned long long token) noexcept
    cpdef int reap(self) noexcept
    cpdef unsigned long long token(self, int i) noexcept
    cpdef long long result(self, int i) noexcept
    cpdef int cancel(self, unsigned long long token) noexcept
    cpdef void abandon(self) noexcept
    cpdef void close(self) noexcept
