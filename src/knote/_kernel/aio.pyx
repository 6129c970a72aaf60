"""POSIX AIO, thin.  See kn_aio.h."""

from libc.errno cimport ENOSYS
from libc.stdlib cimport free, malloc
from posix.unistd cimport close as c_close

from knote._kernel.fork cimport fork_count


cdef extern from "kn_aio.h" nogil:
    struct kn_aios:
        pass
    struct kn_aio_result:
        unsigned long long token
        long long result
    kn_aios *kn_aio_open(int *error)
    int kn_aio_start(kn_aios *home, int op, int fd, unsigned long long addr, unsigned long long len,
                     long long offset, unsigned long long token)
    int kn_aio_reap(kn_aios *home, kn_aio_result *out, int cap)
    int kn_aio_cancel(kn_aios *home, unsigned long long token)
    void kn_aio_finish(kn_aios *home)

cdef int _CAPACITY = 256
cdef bint _used = False
cdef unsigned int _forks = 0


cdef class PosixAio:
    def __cinit__(self):
        global _used, _forks
        self.fd = -ENOSYS
        self._results = malloc(_CAPACITY * sizeof(kn_aio_result))
        if self._results == NULL:
            raise MemoryError
        if _used and fork_count() != _forks:
            return
        _used = True
        _forks = fork_count()
        self._home = kn_aio_open(&self.fd)

    def __dealloc__(self):
        free(self._results)
        if self.fd < 0:
            free(self._home)  # closed: nobody else knows it any more

    cpdef int start(self, int op, int fd, unsigned long long addr, unsigned long long len, long long offset,
                    unsigned long long token) noexcept:
        cdef int rc
        with nogil:
            rc = kn_aio_start(<kn_aios *>self._home, op, fd, addr, len, offset, token)
        return rc

    cpdef int reap(self) noexcept:
        if self._home == NULL:
            return 0
        return kn_aio_reap(<kn_aios *>self._home, <kn_aio_result *>self._results, _CAPACITY)

    cpdef unsigned long long token(self, int i) noexcept:
        return (<kn_aio_result *>self._results)[i].token

    cpdef long long result(self, int i) noexcept:
        return (<kn_aio_result *>self._results)[i].result

    cpdef int cancel(self, unsigned long long token) noexcept:
        return kn_aio_cancel(<kn_aios *>self._home, token)

    cpdef void abandon(self) noexcept:
        # The threads that would have ended it are the parent's, and so may be the lock.
        if self.fd >= 0:
            c_close(self.fd)
            self.fd = -1
            self._home = NULL

    cpdef void close(self) noexcept:
        if self.fd >= 0:
            with nogil:
                kn_aio_finish(<kn_aios *>self._home)
            self.fd = -1
