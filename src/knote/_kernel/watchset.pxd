from knote._kernel.batch cimport Batch, kn_hit


cdef extern from "kn_watchset.h" nogil:
    struct pollfd:
        pass
    struct timespec:
        pass
    ctypedef int (*kn_sleep)(pollfd *fds, int n, const timespec *timeout)
    struct kn_watchset:
        int wake
        int lost
        int n
    int kn_watchset_open(kn_watchset *s, kn_sleep sleep)
    void kn_watchset_close(kn_watchset *s)
    int kn_watchset_reserve(kn_watchset *s, int more, int fd)
    int kn_watchset_put(kn_watchset *s, int fd, unsigned int mask, unsigned long long token)
    void kn_watchset_clear(kn_watchset *s)
    int kn_watchset_wait(kn_watchset *s, kn_hit *hits, int capacity, long long timeout_ns)


cdef class WatchSet:
    cdef readonly int wake
    cdef kn_watchset _set
    cpdef bint lost(self) noexcept
    cpdef int reserve(self, int more, int fd) except -1
    cpdef int put(self, int fd, unsigned int mask, unsigned long long token) noexcept
    cpdef void clear(self) noexcept
    cpdef int wait(self, Batch batch, int capacity, long long timeout_ns) noexcept
    cpdef void close(self) noexcept
