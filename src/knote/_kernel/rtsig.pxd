from knote._kernel.watchset cimport WatchSet, kn_watchset


cdef extern from "kn_rtsig.h" nogil:
    struct kn_rtsigs:
        pass
    int kn_rtsigs_open(kn_rtsigs *s, kn_watchset *set, unsigned int forks)
    void kn_rtsigs_close(kn_rtsigs *s, unsigned int forks)
    int kn_rtsigs_put(kn_rtsigs *s, int fd, unsigned int mask, unsigned long long token)
    void kn_rtsigs_clear(kn_rtsigs *s)


cdef class RtSignals(WatchSet):
    cdef kn_rtsigs _signals
    cpdef int put(self, int fd, unsigned int mask, unsigned long long token) noexcept
    cpdef void clear(self) noexcept
    cpdef void close(self) noexcept
