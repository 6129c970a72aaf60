cpdef int open_file(bytes path, bint writable) noexcept
cpdef bytes contents(int fd)
cpdef int write_text(int fd, bytes text) noexcept
