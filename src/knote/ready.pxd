cimport cython

from knote.knote cimport Knote


@cython.final
cdef class ReadyList:
    cdef readonly int id
    cdef readonly Py_ssize_t count
    cdef Knote head
    cdef Knote tail
    cpdef append(self, Knote kn)
    cpdef remove(self, Knote kn)
    cpdef Knote pop(self)
