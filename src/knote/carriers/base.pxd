cimport cython

from knote._kernel.fork cimport fork_count
from knote.request cimport Request

cdef unsigned long long _SLOT
cdef unsigned int _GENERATION
cdef int DONE


cdef class Carrier:
    cdef readonly str name
    cdef public int fd
    cdef public list slots
    cdef public list landed
    cdef public Py_ssize_t flying
    cdef list _free
    cdef unsigned long long _generation
    cdef unsigned int _forks

    @cython.locals(slot=cython.ulonglong)
    cpdef unsigned long long admit(self, Request request) except? 0
    @cython.locals(slot=cython.Py_ssize_t, request=Request)
    cpdef Request find(self, unsigned long long ident)
    @cython.locals(slot=cython.Py_ssize_t)
    cpdef release(self, Request request)
    cpdef settle(self, Request request, long long value)
    cpdef start(self, Request request)
    cpdef flush(self)
    cpdef reap(self)
    cpdef int cancel(self, Request request) except -1
    cpdef close(self)
    cpdef bint is_childs(self) except -1
