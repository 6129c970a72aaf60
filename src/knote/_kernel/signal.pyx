"""Counting signals without taking them from anybody.  See kn_signal.h."""

from libc.errno cimport errno
from posix.unistd cimport close as c_close


cdef extern from "kn_signal.h" nogil:
    int kn_signal_exists(int number)
    int kn_signal_settled(int number)
    int kn_signal_take(int number, int even_ignored)
    int kn_signal_give_back(int number)
    int kn_signal_hides_ignored()
    long long kn_signal_count(int number)
    int kn_signal_pending(int number)
    int kn_signal_watch_forks()
    kn_bell *kn_bell_open()
    void kn_bell_listen(kn_bell *b, int number)
    void kn_bell_unlisten(kn_bell *b, int number)
    void kn_bell_close(kn_bell *b)
    int kn_peek_create()
    int kn_peek_watch(int fd, unsigned long long mask)

kn_signal_watch_forks()


cdef class Bell:
    def __cinit__(self):
        self._bell = kn_bell_open()
        self.fd = -errno if self._bell == NULL else self._bell.fd

    def __dealloc__(self):
        self.close()

    cpdef void listen(self, int number) noexcept:
        kn_bell_listen(self._bell, number)

    cpdef void unlisten(self, int number) noexcept:
        kn_bell_unlisten(self._bell, number)

    cpdef void lower(self) noexcept:
        kn_bell_lower(self._bell)

    cpdef void close(self) noexcept:
        if self._bell != NULL:
            kn_bell_close(self._bell)
            self._bell = NULL
            self.fd = -1


cdef class Peek:
    def __cinit__(self):
        self.fd = kn_peek_create()

    def __dealloc__(self):
        self.close()

    cpdef int watch(self, unsigned long long mask) noexcept:
        return kn_peek_watch(self.fd, mask)

    cpdef void close(self) noexcept:
        if self.fd >= 0:
            c_close(self.fd)
            self.fd = -1


cpdef bint exists(int number) noexcept:
    return kn_signal_exists(number)

cpdef bint settled(int number) noexcept:
    return kn_signal_settled(number)

cpdef int take(int number, bint even_ignored) noexcept:
    return kn_signal_take(number, even_ignored)

cpdef int give_back(int number) noexcept:
    return kn_signal_give_back(number)

cpdef bint hides_ignored() noexcept:
    return kn_signal_hides_ignored()

cpdef long long count(int number) noexcept:
    return kn_signal_count(number)

cpdef bint pending(int number) noexcept:
    return kn_signal_pending(number)

cpdef object shown(object handler):
    return handler
