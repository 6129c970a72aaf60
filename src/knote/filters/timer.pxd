cimport cython

from knote.clock cimport Clock
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.ready cimport ReadyList

cdef unsigned int ACTIVE, DISABLED, SOFT, EV_ADD, EV_CLEAR, EV_ONESHOT, NOTE_ABSTIME
cdef long long NEVER


cdef class Timer(Filter):
    cdef ReadyList _ready
    cdef object _open_clock
    cdef Clock _monotonic
    cdef Clock _realtime
    cdef Clock _clock_of(self, unsigned int fflags)
    @cython.locals(due=cython.longlong, period=cython.longlong, notes=cython.uint, value=cython.longlong, rc=cython.int)
    cdef int _schedule(self, Knote kn, unsigned int fflags, long long data) except -1
    cpdef int attach(self, Knote kn) except -1
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    cpdef detach(self, Knote kn)
    cpdef drain(self, int number)
