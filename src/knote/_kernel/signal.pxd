cdef extern from "kn_signal.h" nogil:
    struct kn_bell:
        int fd
    void kn_bell_lower(kn_bell *b)


cdef class Bell:
    cdef kn_bell *_bell
    cdef readonly int fd
    cpdef void listen(self, int number) noexcept
    cpdef void unlisten(self, int number) noexcept
    cpdef void lower(self) noexcept
    cpdef void close(self) noexcept


cdef class Peek:
    cdef readonly int fd
    cpdef int watch(self, unsigned long long mask) noexcept
    cpdef void close(self) noexcept


cpdef bint exists(int number) noexcept
cpdef bint settled(int number) noexcept
cpdef int take(int number, bint even_ignored) noexcept
cpdef int give_back(int number) noexcept
cpdef bint hides_ignored() noexcept
cpdef long long count(int number) noexcept
cpdef bint pending(int number) noexcept
cpdef object shown(object handler)
