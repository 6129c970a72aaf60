cimport cython

from knote._kernel.fd cimport same, unsent
from knote.clock cimport Clock
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.ready cimport ReadyList
from knote.source cimport Source

cdef unsigned int DISABLED, SOFT
cdef int KIND_DATAGRAM, KIND_TCP, _EINVAL
cdef long long _LOOK_AGAIN_NS


cdef class Empty(Filter):
    cdef ReadyList _ready
    cdef ReadyList _resting
    cdef object _open_clock
    cdef Clock _clock
    @cython.locals(source=Source)
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(source=Source, n=cython.int)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    cpdef detach(self, Knote kn)
    @cython.locals(kn=Knote, now=cython.longlong)
    cpdef drain(self, int number)
