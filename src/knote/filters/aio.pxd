cimport cython

from knote.carriers.base cimport Carrier
from knote.filters.base cimport Filter
from knote.filters.lio cimport Lio
from knote.host cimport Host
from knote.knote cimport Knote
from knote.request cimport Request

cdef unsigned int ACTIVE, DISABLED, EV_ONESHOT, EV_EOF
cdef int AIO_ALLDONE, DONE, FLYING, _EPERM


cdef class Aio(Filter):
    cdef Host _host
    cdef Lio _lio
    cdef list _shed
    cdef readonly Carrier carrier
    cdef readonly str why

    cpdef open(self)
    cpdef start(self, Request request, Knote kn)
    cpdef flush(self)
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(request=Request, value=cython.longlong)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    @cython.locals(request=Request)
    cpdef detach(self, Knote kn)
    cpdef int cancel(self, Request request) except -1
    @cython.locals(landed=list, request=Request, kn=Knote)
    cdef _land(self)
    cpdef retire(self)
    cpdef close(self)
