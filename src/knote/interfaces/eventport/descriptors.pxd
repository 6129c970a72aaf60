cimport cython

from knote.interfaces.eventport.source cimport Source

cdef int _READS, _WRITES, _EXCEPTS, _SENTINEL
cdef int _IN, _OUT, _PRI, _NVAL, _USHRT_MAX


cdef class Descriptor(Source):
    cdef readonly int fd
    cdef readonly int events
    cdef readonly int knotes
    cdef readonly int plain
    cdef readonly list changes
    cdef public object user
    @cython.locals(knotes=cython.int, before=Descriptor)
    cpdef associate(self, port)
    cdef bint _is_file(self) except -1
    cdef int _add(self, port, int knotes) except -1
    cdef _change(self, int bit)
    cdef bint _quietly(self, port, filter, flags) except -1
    cpdef bint dissociate(self, port) except -1
    cpdef judge(self, port, event)
    cpdef int polled(self) except -1
    cpdef give_back(self, port, event)
