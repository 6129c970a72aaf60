"""epoll(7), thin.  See kn_epoll.h."""

from libc.errno cimport errno
from libc.stdlib cimport free, realloc
from posix.fcntl cimport O_CLOEXEC
from posix.unistd cimport close as c_close

from knote._kernel.batch cimport Batch, kn_hit


cdef extern from "kn_epoll.h" nogil:
    int kn_epoll_create()
    int kn_epoll_ctl_many(int ep, const kn_ctl *changes, int n, int *error)
    int kn_epoll_wait(int ep, kn_hit *hits, int capacity, long long timeout_ns)

cdef extern from "unistd.h" nogil:
    int dup3(int oldfd, int newfd, int flags)


cdef class Epoll:
    def __cinit__(self):
        self.fd = kn_epoll_create()

    def __dealloc__(self):
        free(self._staged)

    cdef int _grow(self) except -1:
        cdef int capacity = self._capacity * 2 if self._capacity else 64
        cdef void *grown = realloc(self._staged, <size_t>capacity * sizeof(kn_ctl))
        if grown == NULL:
            raise MemoryError
        self._staged = <kn_ctl *>grown
        self._capacity = capacity
        return 0

    cpdef int flush(self) noexcept:
        cdef int error
        cdef int done = kn_epoll_ctl_many(self.fd, self._staged, self.count, &error)
        self.count = 0
        return done

    cpdef int wait(self, Batch batch, int capacity, long long timeout_ns) noexcept:
        cdef int n
        if timeout_ns == 0:
            # Nothing blocks, so there is nothing to let go of the GIL for.
            return kn_epoll_wait(self.fd, batch.hits, capacity, 0)
        with nogil:
            n = kn_epoll_wait(self.fd, batch.hits, capacity, timeout_ns)
        return n

    cpdef int replace(self) noexcept:
        cdef int fresh = kn_epoll_create()
        cdef int rc = 0
        if fresh < 0:
            return fresh
        if dup3(fresh, self.fd, O_CLOEXEC) < 0:
            rc = -errno
        c_close(fresh)
        return rc

    cpdef void close(self) noexcept:
        if self.fd >= 0:
            c_close(self.fd)
            self.fd = -1
