from knote.knote cimport Knote


cdef class Life:
    cdef Knote kn
    cdef int pid
    cdef bint child
    cdef bint gone
    cdef int told
    cdef long long image
