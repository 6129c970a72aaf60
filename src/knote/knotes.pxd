cimport cython

from knote.clock cimport Clock
from knote.filewatch cimport FileWatch
from knote.filters.base cimport Filter
from knote.filters.aio cimport Aio
from knote.filters.lio cimport Lio
from knote.filters.read cimport Read
from knote.harvest cimport Harvest
from knote.interest cimport Interest
from knote.knote cimport Knote
from knote.listio cimport Listio
from knote.ready cimport ReadyList
from knote.request cimport Request
from knote.source cimport Source
from knote.table cimport Table

cdef unsigned int DEAD, DISABLED, SOFT, EDGE, IN
cdef int CANCEL, LAUNCH, LOOK, RETIRE
cdef int EVFILT_AIO, EVFILT_LIO, EVFILT_READ, _SPARE


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
    cdef Aio aio
    cdef Lio lio
    cdef list shed
    cdef unsigned long long turn
    cdef list _filters
    cdef Knote _spare
    cdef int _spares

    @cython.locals(kn=Knote)
    cdef Knote _blank(self)
    @cython.locals(kn=Knote)
    cdef Knote _enlist(self, Filter filt, unsigned long long ident, object udata)
    @cython.locals(aio=Aio, request=Request)
    cdef _launch(self, list requests, Listio listio, object home)
    cpdef serve(self, int verb, object one, object other, object queue)
    @cython.locals(kn=Knote, source=Source)
    cpdef wake_resting(self)
    @cython.locals(kn=Knote, rest=Knote)
    cpdef list clear(self)
    @cython.locals(filt=Filter)
    cpdef close(self)
    cdef _unlink(self, Knote kn)
    cdef void _join(self, Source source, Knote kn) noexcept
    cdef _part(self, Source source, Knote kn)
    cpdef bury(self, Knote kn, Harvest harvest)
    cdef _recycle(self, Knote kn, Harvest harvest)
    @cython.locals(kn=Knote)
    cpdef vanish(self, Source source, Harvest harvest)
    @cython.locals(kn=Knote)
    cpdef list registrations(self)
    @cython.locals(kn=Knote)
    cdef _soften(self, Source source)
