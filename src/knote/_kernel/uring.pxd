cdef extern from "kn_uring.h" nogil:
    struct kn_landed:
        unsigned long long token
        int result
        unsigned int flags
    struct kn_ring:
        int fd
        unsigned int setup
        unsigned int sq_entries
        unsigned int cq_entries
    int kn_ring_prepare(kn_ring *ring, int op, int fd, unsigned long long addr, unsigned int len,
                        unsigned long long offset, unsigned int flags, unsigned long long token)


cdef class Uring:
    cdef readonly int fd
    cdef kn_ring _ring
    cdef kn_landed *_landed

    cdef inline int prepare(self, int op, int fd, unsigned long long addr, unsigned int len,
                            unsigned long long offset, unsigned int flags, unsigned long long token) noexcept:
        return kn_ring_prepare(&self._ring, op, fd, addr, len, offset, flags, token)

    cdef inline unsigned long long token(self, int i) noexcept:
        return self._landed[i].token

    cdef inline int result(self, int i) noexcept:
        return self._landed[i].result

    cdef inline unsigned int flags(self, int i) noexcept:
        return self._landed[i].flags

    cpdef unsigned int setup(self) noexcept
    cpdef int room(self) noexcept
    cpdef int knows(self, int op) noexcept
    cpdef int at_once(self) noexcept
    cpdef int submit(self, int wait) noexcept
    cpdef int notify(self, int eventfd) noexcept
    cpdef int settle(self) noexcept
    cpdef bint landed(self) noexcept
    cpdef int retract(self) noexcept
    cpdef bint overflowed(self) noexcept
    cpdef int reap(self, int most) noexcept
    cpdef void close(self) noexcept
