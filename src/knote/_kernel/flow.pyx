"""Streams through a ring, thin.  See kn_flow.h."""

from libc.errno cimport EAGAIN

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE


cdef extern from "kn_flow.h" nogil:
    int kn_flow_open(kn_flow *flow, const kn_ring *ring, unsigned int entries, unsigned int size)
    unsigned int kn_flow_grow(kn_flow *flow, unsigned int count)
    unsigned int kn_flow_shrink(kn_flow *flow, const kn_ring *ring, unsigned int count)
    int kn_flow_reap(kn_flow *flow, kn_ring *ring, bint eager)
    void kn_flow_close(kn_flow *flow)


cdef extern from "kn_uring.h" nogil:
    unsigned int kn_ring_pending(const kn_ring *ring)
    int kn_ring_submit(kn_ring *ring, unsigned int wait)

cdef size_t _MOST = 1 << 30


cdef class Flow:
    def __cinit__(self, Uring uring, unsigned int entries, unsigned int size):
        self._uring = uring
        self._now = []
        self._before = []
        self.is_open = kn_flow_open(&self._flow, &uring._ring, entries, size) == 0

    def __dealloc__(self):
        kn_flow_close(&self._flow)

    cpdef bytes take(self, int bid, int count):
        return PyBytes_FromStringAndSize(kn_flow_at(&self._flow, <unsigned int>bid), count)

    cpdef int send_bytes(self, int fd, bytes data, unsigned long long token) except -10000:
        cdef int k = kn_flow_note(&self._flow, -1 - <int>len(self._now))
        if k < 0:
            return k
        self._now.append(data)
        return kn_flow_send(&self._uring._ring, fd, PyBytes_AS_STRING(data), <size_t>PyBytes_GET_SIZE(data), 0,
                            token | <unsigned long long>k << 32)

    cpdef int send_rest(self, int fd, bytes data, Py_ssize_t skip, unsigned long long token) noexcept:
        cdef size_t left = <size_t>(PyBytes_GET_SIZE(data) - skip)
        if left > _MOST:
            left = _MOST
        return kn_flow_send(&self._uring._ring, fd, PyBytes_AS_STRING(data) + skip, left, 1, token)

    cpdef bytes unsent(self, int k, Py_ssize_t done):
        cdef int where = self._flow.before[k]
        if where < 0:
            return (<bytes>self._before[-1 - where])[done:]
        return PyBytes_FromStringAndSize(kn_flow_at(&self._flow, <unsigned int>where) + done,
                                         <Py_ssize_t>self._flow.lengths[where] - done)

    cpdef unsigned int grow(self, unsigned int count) noexcept:
        return kn_flow_grow(&self._flow, count)

    cpdef unsigned int most(self) noexcept:
        return self._flow.most

    cpdef unsigned int shrink(self, unsigned int count) noexcept:
        return kn_flow_shrink(&self._flow, &self._uring._ring, count)

    cpdef int submit(self, int wait) noexcept:
        cdef int rc
        # Receiving and sending, the copies included, are done inside this call.
        with nogil:
            rc = kn_ring_submit(&self._uring._ring, <unsigned int>wait)
        if kn_ring_pending(&self._uring._ring) == 0:
            kn_flow_turn(&self._flow)
            self._now, self._before = self._before, self._now
            return 0 if rc >= 0 else rc
        return rc if rc < 0 else -EAGAIN

    cpdef int reap(self, bint eager) noexcept:
        return kn_flow_reap(&self._flow, &self._uring._ring, eager)

    cpdef recycle(self):
        kn_flow_recycle(&self._flow)
        if self._before:
            self._before.clear()

    cpdef close(self):
        if self.is_open:
            self.is_open = False
            kn_flow_close(&self._flow)
