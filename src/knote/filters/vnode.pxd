cimport cython

from knote._kernel.fd cimport same
from knote.filewatch cimport FileWatch
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.source cimport Source

cdef unsigned int ACTIVE, SOFT
cdef int KIND_PIPE, _EINVAL


cdef class Vnode(Filter):
    cdef FileWatch _files
    @cython.locals(source=Source)
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(source=Source, rc=cython.int)
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    @cython.locals(source=Source)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    cpdef detach(self, Knote kn)
