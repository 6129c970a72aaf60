cdef class Inotify:
    cdef readonly int fd
    cdef char *_buffer
    cdef void *_events
    cpdef int add(self, int fd, unsigned int mask) noexcept
    cpdef int remove(self, int wd) noexcept
    cpdef int read(self) noexcept
    cpdef int wd(self, int i) noexcept
    cpdef unsigned int mask(self, int i) noexcept
    cpdef bint named(self, int i) noexcept
    cpdef void close(self) noexcept
