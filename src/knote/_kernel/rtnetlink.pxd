cdef class Links:
    cdef readonly int fd
    cdef char *_buffer
    cdef void *_links
    cpdef int ask(self, int index) noexcept
    cpdef int read(self) noexcept
    cpdef int kind(self, int i) noexcept
    cpdef int index(self, int i) noexcept
    cpdef unsigned int flags(self, int i) noexcept
    cpdef unsigned int value(self, int i) noexcept
    cpdef void close(self) noexcept
