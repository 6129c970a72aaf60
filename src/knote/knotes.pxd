cimport cython

from knote.clock cimport Clock
from knote.filewatch cimport FileWatch
from knote.filters.base cimport Filter
from knote.filters.read cimport Read
from knote.harvest cimport Harvest
from knote.interest cimport Interest
from knote.knote cimport Knote
from knote.ready cimport ReadyList
from knote.source cimport Source
from knote.table cimport Table

cdef unsigned int DEAD, DISABLED, SOFT, EDGE, IN
cdef int EVFILT_READ, _SPARE


cdef class Knotes:
    cdef Interest interest
    cdef Table table
    cdef ReadyList ready
    cdef ReadyList again
    cdef ReadyList resting
    cdef ReadyList late
    cdef list clocks
    cdef dict drains
    cdef FileWatch files
    cdef Read reads
    cdef unsigned long long turn
    cdef list _filters
    cdef list _spare

    @cython.locals(kn=Knote, source=Source)
    cpdef wake_resting(self)
    @cython.locals(kn=Knote, rest=Knote)
    cpdef list clear(self)
    @cython.locals(filt=Filter)
    cpdef close(self)
    cdef _unlink(self, Knote kn)
    cdef _join(self, Source source, Knote kn)
    cdef _part(self, Source source, Knote kn)
    cpdef bury(self, Knote kn, Harvest harvest)
    cdef _recycle(self, Knote kn, Harvest harvest)
    @cython.locals(kn=Knote)
    cpdef vanish(self, Source source, Harvest harvest)
    @cython.locals(kn=Knote)
    cdef _soften(self, Source source)
