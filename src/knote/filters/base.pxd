from knote.drain cimport Drain
from knote.knote cimport Knote


cdef class Filter(Drain):
    cdef readonly int id
    cdef readonly unsigned int wants
    cdef readonly bint is_fd
    cdef readonly unsigned int forced
    cpdef int attach(self, Knote kn) except -1
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    cpdef detach(self, Knote kn)
    cpdef close(self)
