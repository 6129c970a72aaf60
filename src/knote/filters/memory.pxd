cimport cython

from knote.filters.base cimport Filter
from knote.host cimport Host
from knote.knote cimport Knote

cdef unsigned int ACTIVE, DISABLED, SOFT, EV_CLEAR, _KNOWN
cdef unsigned int NOTE_MEMORYSTATUS_PRESSURE_NORMAL
cdef unsigned int NOTE_MEMORYSTATUS_PRESSURE_WARN, NOTE_MEMORYSTATUS_PRESSURE_CRITICAL
cdef int _EINVAL, _ENOENT, _EOPNOTSUPP
cdef long long _WINDOW_MS


@cython.final
cdef class Trigger:
    cdef unsigned int note
    cdef long long us
    cdef int fd
    cdef long long total
    cdef bint fresh
    cdef list knotes


cdef class MemoryStatus(Filter):
    cdef Host _host
    cdef list _triggers
    cdef bint _trusted
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(rc=cython.int, trigger=Trigger, before=list)
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    @cython.locals(now=cython.longlong)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    @cython.locals(trigger=Trigger)
    cpdef detach(self, Knote kn)
    @cython.locals(trigger=Trigger, total=cython.longlong, fresh=cython.bint)
    cpdef drain(self, int number)
    @cython.locals(trigger=Trigger)
    cpdef rewatched(self, int number)
    @cython.locals(trigger=Trigger)
    cpdef close(self)
    @cython.locals(rc=cython.int, us=cython.longlong, note=cython.uint, trigger=Trigger)
    cdef int _arm(self, Knote kn, unsigned int fflags, long long data) except -1
    @cython.locals(trigger=Trigger, found=Trigger, fd=cython.int, rc=cython.int, some=cython.bint,
                   total=cython.longlong)
    cdef int _join(self, Knote kn, unsigned int note, long long us, list joined) except -1
    @cython.locals(trigger=Trigger, kept=list)
    cdef _sweep(self)
    @cython.locals(kn=Knote)
    cdef _post(self, Trigger trigger)
    @cython.locals(fd=cython.int, rc=cython.int)
    cdef bint _may_choose(self) except -1
    @cython.locals(fd=cython.int)
    cdef long long _total(self, unsigned int note) except -1
