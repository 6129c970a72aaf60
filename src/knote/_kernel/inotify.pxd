cdef class Inotify:
    cdef readonly int fd
    cdef readonly int wd
    cdef readonly unsigned int mask
    cdef readonly unsigned int cookie
    cdef readonly bint named
    cdef readonly bint more
    cdef char *_buffer
    cdef int _at
    cdef int _filled
    cpdef int add(self, int fd, unsigned int mask, bint parent=*) noexcept
    cpdef int remove(self, int wd) noexcept
    cpdef int read(self) noexcept
    cpdef bint next(self) noexcept
    cpdef void close(self) noexcept
