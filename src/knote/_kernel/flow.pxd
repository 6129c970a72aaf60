from knote._kernel.stream cimport kn_stream_upper
from knote._kernel.uring cimport Uring, kn_landed, kn_ring


cdef extern from "kn_flow.h" nogil:
    struct kn_flow:
        unsigned int size
        unsigned int made
        unsigned int most
        unsigned int *lengths
        int *before
        kn_landed *landed
    char *kn_flow_at(const kn_flow *flow, unsigned int bid)
    void kn_flow_give(kn_flow *flow, unsigned int bid)
    int kn_flow_accept(kn_ring *ring, int fd, unsigned long long token)
    int kn_flow_receive(kn_ring *ring, int fd, int once, unsigned long long token)
    int kn_flow_send(kn_ring *ring, int fd, const char *data, size_t size, int wait, unsigned long long token)
    int kn_flow_poll(kn_ring *ring, int fd, unsigned long long token)
    int kn_flow_cancel(kn_ring *ring, unsigned long long target, int all, unsigned long long token)
    int kn_flow_note(kn_flow *flow, int where)
    void kn_flow_turn(kn_flow *flow)
    void kn_flow_recycle(kn_flow *flow)


cdef class Flow:
    cdef Uring _uring
    cdef kn_flow _flow
    cdef list _now
    cdef list _before
    cdef readonly bint is_open

    cdef inline unsigned long long token(self, int i) noexcept:
        return self._flow.landed[i].token

    cdef inline int result(self, int i) noexcept:
        return self._flow.landed[i].result

    cdef inline bint more(self, int i) noexcept:
        return self._flow.landed[i].flags & 2 != 0

    cdef inline int buffer(self, int i) noexcept:
        return <int>(self._flow.landed[i].flags >> 16) if self._flow.landed[i].flags & 1 else -1

    cdef inline void give(self, int bid) noexcept:
        kn_flow_give(&self._flow, <unsigned int>bid)

    cdef inline void upper(self, int bid, int count) noexcept:
        kn_stream_upper(kn_flow_at(&self._flow, <unsigned int>bid), <size_t>count)

    cdef inline int accept(self, int fd, unsigned long long token) noexcept:
        return kn_flow_accept(&self._uring._ring, fd, token)

    cdef inline int receive(self, int fd, bint once, unsigned long long token) noexcept:
        return kn_flow_receive(&self._uring._ring, fd, once, token)

    cdef inline int poll(self, int fd, unsigned long long token) noexcept:
        return kn_flow_poll(&self._uring._ring, fd, token)

    cdef inline int cancel(self, unsigned long long target, bint everything, unsigned long long token) noexcept:
        return kn_flow_cancel(&self._uring._ring, target, everything, token)

    cdef inline int send_buffer(self, int fd, int bid, int count, unsigned long long token) noexcept:
        cdef int k = kn_flow_note(&self._flow, bid)
        if k < 0:
            return k
        self._flow.lengths[bid] = <unsigned int>count
        return kn_flow_send(&self._uring._ring, fd, kn_flow_at(&self._flow, <unsigned int>bid), <size_t>count, 0,
                            token | <unsigned long long>k << 32)

    cpdef bytes take(self, int bid, int count)
    cpdef int send_bytes(self, int fd, bytes data, unsigned long long token) except -10000
    cpdef int send_rest(self, int fd, bytes data, Py_ssize_t skip, unsigned long long token) noexcept
    cpdef bytes unsent(self, int k, Py_ssize_t done)
    cpdef unsigned int grow(self, unsigned int count) noexcept
    cpdef unsigned int most(self) noexcept
    cpdef unsigned int shrink(self, unsigned int count) noexcept
    cpdef int submit(self, int wait) noexcept
    cpdef int reap(self, bint eager) noexcept
    cpdef recycle(self)
    cpdef close(self)
