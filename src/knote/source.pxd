cimport cython

from knote.knote cimport Knote


@cython.final
cdef class Source:
    cdef int fd
    cdef unsigned int generation
    cdef unsigned long long token
    cdef unsigned long long identity
    cdef int kind
    cdef int wd
    cdef bint queue
    cdef bint soft
    cdef bint listening
    cdef bint connected
    cdef bint asked
    cdef bint fresh
    cdef int place
    cdef bint counting
    cdef bint counted
    cdef int count
    cdef int told
    cdef unsigned int planned
    cdef unsigned int batch
    cdef unsigned int rearm
    cdef unsigned int armed[3]
    cdef int mark
    cdef unsigned int deliveries
    cdef Knote knotes
    cpdef void add(self, Knote kn) noexcept
    cpdef void remove(self, Knote kn) noexcept
    cpdef Knote find(self, int number)
