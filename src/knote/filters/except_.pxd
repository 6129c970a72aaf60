cimport cython

from knote._kernel.fd cimport is_path, poll, readable, same
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.source cimport Source

cdef unsigned int PRI, NVAL, NOTE_OOB
cdef int KIND_TCP, KIND_SEQPACKET


cdef class Except(Filter):
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(source=Source, n=cython.int)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
