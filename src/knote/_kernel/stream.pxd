cdef extern from "kn_stream.h" nogil:
    void kn_stream_upper(char *text, size_t size)
    Py_ssize_t kn_stream_send(int fd, const char *data, size_t size)
    Py_ssize_t kn_stream_receive(int fd, char *room, size_t size)


cdef class Room:
    cdef char *_at
    cdef readonly Py_ssize_t size

    cdef inline Py_ssize_t receive(self, int fd) noexcept:
        return kn_stream_receive(fd, self._at, <size_t>self.size)

    cdef inline Py_ssize_t send(self, int fd, Py_ssize_t count) noexcept:
        return kn_stream_send(fd, self._at, <size_t>count)

    cdef inline void upper(self, Py_ssize_t count) noexcept:
        kn_stream_upper(self._at, <size_t>count)

    cpdef bytes take(self, Py_ssize_t start, Py_ssize_t stop)


cpdef int accept_one(int listener) noexcept
cpdef Py_ssize_t send_one(int fd, object data) except -10000
cpdef Py_ssize_t send_list(int fd, list parts, Py_ssize_t skip) except -10000
cpdef int shut(int fd, int how) noexcept
cpdef int reset(int fd) noexcept
cpdef bint is_readable(int fd) noexcept
