"""io_uring(7), thin.  See kn_uring.h."""

from libc.stdlib cimport free, malloc


cdef extern from "kn_uring.h" nogil:
    int kn_ring_open(kn_ring *ring, unsigned int entries, unsigned int completions, unsigned int flags)
    int kn_ring_knows(const kn_ring *ring, int op)
    unsigned int kn_ring_pending(const kn_ring *ring)
    int kn_ring_at_once(kn_ring *ring, kn_landed *out, int cap)
    int kn_ring_submit(kn_ring *ring, unsigned int wait)
    int kn_ring_retract(kn_ring *ring, kn_landed *out, int cap)
    int kn_ring_notify(kn_ring *ring, int eventfd)
    int kn_ring_settle(kn_ring *ring)
    int kn_ring_landed(const kn_ring *ring)
    int kn_ring_overflowed(const kn_ring *ring)
    int kn_ring_reap(kn_ring *ring, kn_landed *out, int cap)
    void kn_ring_close(kn_ring *ring)

cdef int _CAPACITY = 256


def why_not_here():
    return ""


cdef class Uring:
    def __cinit__(self, unsigned int entries, unsigned int completions, unsigned int flags):
        self.fd = -1
        self._ring.fd = -1
        self._landed = <kn_landed *>malloc(_CAPACITY * sizeof(kn_landed))
        if self._landed == NULL:
            raise MemoryError
        self.fd = kn_ring_open(&self._ring, entries, completions, flags)

    def __dealloc__(self):
        free(self._landed)

    cpdef unsigned int setup(self) noexcept:
        return self._ring.setup

    cpdef int room(self) noexcept:
        return <int>(self._ring.sq_entries - kn_ring_pending(&self._ring))

    cpdef int knows(self, int op) noexcept:
        return kn_ring_knows(&self._ring, op)

    cpdef int at_once(self) noexcept:
        cdef int n
        with nogil:
            n = kn_ring_at_once(&self._ring, self._landed, _CAPACITY)
        return n

    cpdef int submit(self, int wait) noexcept:
        cdef int rc
        # What can be done at once is done inside this call, data copied and all.
        with nogil:
            rc = kn_ring_submit(&self._ring, wait)
        return rc

    cpdef int notify(self, int eventfd) noexcept:
        return kn_ring_notify(&self._ring, eventfd)

    cpdef int settle(self) noexcept:
        return kn_ring_settle(&self._ring)

    cpdef bint landed(self) noexcept:
        return kn_ring_landed(&self._ring)

    cpdef int retract(self) noexcept:
        return kn_ring_retract(&self._ring, self._landed, _CAPACITY)

    cpdef bint overflowed(self) noexcept:
        return kn_ring_overflowed(&self._ring)

    cpdef int reap(self, int most) noexcept:
        return kn_ring_reap(&self._ring, self._landed, most if most < _CAPACITY else _CAPACITY)

    cpdef void close(self) noexcept:
        if self.fd >= 0:
            kn_ring_close(&self._ring)
            self.fd = -1
