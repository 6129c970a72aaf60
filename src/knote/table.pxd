cimport cython

from knote.knote cimport Knote
from knote.source cimport Source

cdef unsigned long long _SLOT


@cython.final
cdef class Table:
    cdef list _sources
    cdef dict _others
    cdef unsigned int _generation
    cdef readonly Py_ssize_t watched
    cdef public Py_ssize_t shared
    cpdef Source source(self, long long fd)
    cpdef Source add_source(self, int fd, unsigned long long identity)
    cpdef list sources(self)
    @cython.locals(source=Source, kn=Knote)
    cpdef list all(self)
    cpdef drop_source(self, Source source)
    @cython.locals(source=Source, fd=cython.Py_ssize_t)
    cpdef Source by_token(self, unsigned long long token)
    @cython.locals(knotes=dict)
    cpdef Knote find(self, int number, unsigned long long ident)
    cpdef add(self, Knote kn)
    cpdef remove(self, Knote kn)
