cimport cython

from knote.apps.flow cimport Flow


@cython.final
cdef class Pump(Flow):
    cdef list _ways
    cdef object _holes
    cdef bint _enlarged, _full
    cdef int _vain
    cdef long long _size

    @cython.locals(count="long long")
    cdef _pump(self)
