cimport cython

from knote._kernel.spares cimport follow


@cython.final
cdef class kevent:
    cdef unsigned long long _ident
    cdef int _filter
    cdef unsigned int _flags
    cdef unsigned int _fflags
    cdef long long _data
    cdef object _udata
