cimport cython

from knote._kernel.batch cimport Batch
from knote._kernel.spares cimport more


@cython.final
cdef class Harvest:
    cdef Batch batch
    cdef list events
    cdef int filled
    cdef bint kept
    cdef int room
    cdef list graveyard
    cdef int error
    cdef object culprit
    cdef bint lost
    cdef unsigned long long serial

    cpdef widen(self, Py_ssize_t count)
    cpdef reset(self)
