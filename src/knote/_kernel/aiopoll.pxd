from knote._kernel.batch cimport Batch, kn_hit
from knote._kernel.watchset cimport WatchSet


cdef extern from "kn_aiowait.h" nogil:
    struct kn_aiopolls:
        int wake
        int lost
    int kn_aiopolls_open(kn_aiopolls *s, unsigned int forks)
    void kn_aiopolls_close(kn_aiopolls *s, unsigned int forks)
    int kn_aiopolls_reserve(kn_aiopolls *s, int more, int fd)
    int kn_aiopolls_put(kn_aiopolls *s, int fd, unsigned int mask, unsigned long long token)
    void kn_aiopolls_clear(kn_aiopolls *s)
    int kn_aiopolls_wait(kn_aiopolls *s, kn_hit *hits, int capacity, long long timeout_ns)


cdef class AioPolls(WatchSet):
    cdef kn_aiopolls _polls
    cpdef bint lost(self) noexcept
    cpdef int reserve(self, int more, int fd) except -1
    cpdef int put(self, int fd, unsigned int mask, unsigned long long token) noexcept
    cpdef void clear(self) noexcept
    cpdef int wait(self, Batch batch, int capacity, long long timeout_ns) noexcept
    cpdef void close(self) noexcept
