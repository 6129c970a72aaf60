"""Stream sockets of a server, thin.  See kn_stream.h."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdlib cimport free, malloc


cdef extern from "<sys/uio.h>" nogil:
    struct iovec:
        void *iov_base
        size_t iov_len


cdef extern from "kn_stream.h" nogil:
    enum:
        KN_STREAM_PARTS
    int kn_stream_accept(int listener)
    Py_ssize_t kn_stream_gather(int fd, iovec *parts, int count)
    int kn_stream_shut(int fd, int how)
    int kn_stream_reset(int fd)
    int kn_stream_is_readable(int fd)


cdef class Room:
    def __cinit__(self, Py_ssize_t size):
        self._at = <char *>malloc(<size_t>size)
        if self._at == NULL:
            raise MemoryError
        self.size = size

    def __dealloc__(self):
        free(self._at)

    cpdef bytes take(self, Py_ssize_t start, Py_ssize_t stop):
        return PyBytes_FromStringAndSize(self._at + start, stop - start)


cpdef int accept_one(int listener) noexcept:
    return kn_stream_accept(listener)


cpdef Py_ssize_t send_one(int fd, object data) except -10000:
    cdef Py_buffer view
    cdef Py_ssize_t n
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    n = kn_stream_send(fd, <const char *>view.buf, <size_t>view.len)
    PyBuffer_Release(&view)
    return n


cpdef Py_ssize_t send_list(int fd, list parts, Py_ssize_t skip) except -10000:
    cdef Py_buffer views[KN_STREAM_PARTS]
    cdef iovec vector[KN_STREAM_PARTS]
    cdef int i, count = 0
    cdef Py_ssize_t n
    try:
        for part in parts:
            if count == KN_STREAM_PARTS:
                break
            PyObject_GetBuffer(part, &views[count], PyBUF_SIMPLE)
            vector[count].iov_base = views[count].buf
            vector[count].iov_len = <size_t>views[count].len
            count += 1
        if count:
            vector[0].iov_base = <char *>vector[0].iov_base + skip
            vector[0].iov_len -= <size_t>skip
        n = kn_stream_gather(fd, vector, count)
    finally:
        for i in range(count):
            PyBuffer_Release(&views[i])
    return n


cpdef int shut(int fd, int how) noexcept:
    return kn_stream_shut(fd, how)


cpdef int reset(int fd) noexcept:
    return kn_stream_reset(fd)


cpdef bint is_readable(int fd) noexcept:
    return kn_stream_is_readable(fd)
