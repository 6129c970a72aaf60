"""Files of /proc, whole.  See kn_procfile.h."""

from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, realloc


cdef extern from "kn_procfile.h" nogil:
    int kn_procfile_open(const char *path, int writable)
    long kn_procfile_read(int fd, char *to, size_t room, long at)
    int kn_procfile_write(int fd, const char *text, size_t size)


cpdef int open_file(bytes path, bint writable) noexcept:
    cdef const char *name = path
    return kn_procfile_open(name, writable)


cpdef bytes contents(int fd):
    cdef char *buffer = NULL
    cdef char *grown
    cdef size_t room = 0
    cdef long at = 0
    cdef long n
    try:
        while True:
            if room - <size_t>at < 4096:
                room = room * 2 + 65536
                grown = <char *>realloc(buffer, room)
                if grown == NULL:
                    raise MemoryError
                buffer = grown
            with nogil:
                n = kn_procfile_read(fd, buffer + at, room - <size_t>at, at)
            if n < 0:
                return b""
            if n == 0:
                return PyBytes_FromStringAndSize(buffer, at)
            at += n
    finally:
        free(buffer)


cpdef int write_text(int fd, bytes text) noexcept:
    cdef const char *start = text
    return kn_procfile_write(fd, start, len(text) + 1)
