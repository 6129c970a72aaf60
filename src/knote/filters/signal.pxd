cimport cython

from knote._kernel.signal cimport Bell, Peek, blocked, count, pending, settled
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
    cdef dict _knotes
    @cython.locals(bell=Bell, number=cython.int, rc=cython.int)
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(peek=Peek, bit=cython.ulonglong, rc=cython.int, kn=Knote)
    cdef int _watch_pending(self, int number) except 1
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    @cython.locals(number=cython.int, noticed=cython.bint, total=cython.longlong)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    @cython.locals(number=cython.int)
    cpdef detach(self, Knote kn)
    @cython.locals(bell=Bell, kn=Knote)
    cpdef drain(self, int number)
    @cython.locals(peek=Peek, kn=Knote)
    cdef _notice(self)
    cdef _activate(self, Knote kn)
    cpdef close(self)
