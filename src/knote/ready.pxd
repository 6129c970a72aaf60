cimport cython

from knote.knote cimport Knote


@cython.final
cdef class ReadyList:
    cdef readonly int id
    cdef readonly Py_ssize_t count
    cdef Knote head
    cdef Knote tail
    cpdef void append(self, Knote kn) noexcept
    cpdef void remove(self, Knote kn) noexcept
    cpdef Knote pop(self)
