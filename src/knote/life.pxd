from knote.knote cimport Knote


cdef class Life:
    cdef Knote kn
    cdef int pid
    cdef int fd
    cdef bint child
    cdef bint gone
    cdef unsigned int pending
    cdef bint over
    cdef int status
    cdef int told
    cdef int parent
    cdef bint once
    cdef long long image
