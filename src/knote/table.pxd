cimport cython

from knote.knote cimport Knote
from knote.source cimport Source

cdef unsigned long long _SLOT
cdef int EVFILT_AIO, _FILTERS


@cython.final
cdef class Table:
    cdef list slots
    cdef list _others
    cdef list _requests
    cdef unsigned int _generation
    cdef readonly Py_ssize_t watched
    cdef public Py_ssize_t shared
    cpdef Source source(self, long long fd)
    cpdef Source add_source(self, int fd, unsigned long long identity)
    cpdef list sources(self)
    @cython.locals(source=Source, kn=Knote, one=Knote, knotes=dict)
    cpdef list all(self)
    cpdef drop_source(self, Source source)
    @cython.locals(source=Source, fd=cython.Py_ssize_t)
    cpdef Source by_token(self, unsigned long long token)
    @cython.locals(knotes=dict, kn=Knote, slot=cython.Py_ssize_t)
    cpdef Knote find(self, int number, unsigned long long ident)
    @cython.locals(knotes=dict, slot=cython.Py_ssize_t)
    cpdef add(self, Knote kn)
    @cython.locals(knotes=dict, slot=cython.Py_ssize_t)
    cpdef remove(self, Knote kn)
