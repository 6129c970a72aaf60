cimport cython

from knote._kernel.stream cimport send_list

cdef Py_ssize_t SMALL, TOGETHER


@cython.final
cdef class Outgoing:
    cdef list _parts
    cdef Py_ssize_t _skip
    cdef readonly Py_ssize_t size

    @cython.locals(count=cython.Py_ssize_t, parts=list)
    cpdef push(self, object data)
    cpdef push_first(self, bytes data)
    @cython.locals(count=cython.Py_ssize_t)
    cpdef Py_ssize_t send(self, int fd) except -10000
    @cython.locals(gone=cython.Py_ssize_t, parts=list)
    cpdef taken(self, Py_ssize_t count)
    @cython.locals(parts=list, count=cython.Py_ssize_t, size=cython.Py_ssize_t)
    cpdef bytes head(self)
    cpdef Py_ssize_t skipped(self) noexcept
