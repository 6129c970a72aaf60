cimport cython

from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.listio cimport Listio
from knote.ready cimport ReadyList
from knote.request cimport Request

cdef unsigned int ACTIVE, DISABLED, EV_ONESHOT
cdef int _EIO, _EPERM


cdef class Lio(Filter):
    cdef ReadyList _ready
    cdef list _shed
    cdef dict _lists
    cdef unsigned long long _serial

    cpdef unsigned long long number(self) except? 0
    cpdef start(self, Listio listio, Knote kn)
    @cython.locals(listio=Listio)
    cpdef count(self, Request request)
    @cython.locals(kn=Knote)
    cdef _finish(self, Listio listio)
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(listio=Listio)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    @cython.locals(listio=Listio)
    cpdef detach(self, Knote kn)
