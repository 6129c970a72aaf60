cimport cython

from knote._kernel.signal cimport Bell, Peek, count, pending, settled
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.ready cimport ReadyList

cdef unsigned int ACTIVE, DISABLED, SOFT
cdef int _EINVAL
cdef unsigned int _LAST


cdef class Signal(Filter):
    cdef ReadyList _ready
    cdef ReadyList _resting
    cdef object _own
    cdef Bell _bell
    cdef Peek _peek
    cdef unsigned long long _mask
    cdef bint _remasked
    cdef dict _knotes
    @cython.locals(number=cython.int, rc=cython.int, bit=cython.ulonglong)
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(bell=Bell, peek=Peek, rc=cython.int)
    cdef int _open(self) except 1
    @cython.locals(kn=Knote)
    cdef _watch(self, unsigned long long mask)
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    @cython.locals(number=cython.int, noticed=cython.bint, total=cython.longlong)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    @cython.locals(number=cython.int, bit=cython.ulonglong)
    cpdef detach(self, Knote kn)
    @cython.locals(bell=Bell, kn=Knote, news=cython.bint)
    cpdef drain(self, int number)
    cdef _activate(self, Knote kn)
    cpdef close(self)
