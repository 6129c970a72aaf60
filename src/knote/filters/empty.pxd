cimport cython

from knote._kernel.fd cimport same, tcp_acked, tcp_idle_ms, tcp_state, unsent
from knote.clock cimport Clock
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.ready cimport ReadyList
from knote.source cimport Source

cdef unsigned int DISABLED, SOFT, EV_CLEAR
cdef int KIND_DATAGRAM, KIND_TCP, _EINVAL, _CLOSE, _NONE, _SYN_SENT
cdef long long _LOOK_AGAIN_NS, _LOOK_AT_LEAST_NS


cdef class Empty(Filter):
    cdef ReadyList _ready
    cdef ReadyList _resting
    cdef object _open_clock
    cdef Clock _clock
    @cython.locals(source=Source)
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(source=Source, n=cython.int, state=cython.int, acked=cython.longlong, delay=cython.longlong, news=cython.bint)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    @cython.locals(clock=Clock)
    cdef _look_again(self, Knote kn, long long delay)
    cpdef detach(self, Knote kn)
    @cython.locals(kn=Knote, now=cython.longlong)
    cpdef drain(self, int number)
