cimport cython

from knote._kernel.batch cimport Batch
from knote._kernel.fd cimport Counts, is_open, poll, same
from knote._kernel.spares cimport follow
from knote.engines.base cimport Engine
from knote.drain cimport Drain
from knote.filters.base cimport Filter
from knote.harvest cimport Harvest
from knote.interest cimport Interest
from knote.kevent cimport kevent
from knote.knote cimport Knote
from knote.ready cimport ReadyList
from knote.registry cimport Registry
from knote.source cimport Source
from knote.table cimport Table

cdef unsigned int ACTIVE, ASK, DEAD, DEMOTED, DISABLED, FORCED, PLAIN, SEEN, SOFT, UNASKED
cdef unsigned int EV_CLEAR, EV_DISPATCH, EV_ONESHOT, ERR, HUP, NVAL, RDHUP
cdef unsigned long long _SLOT
cdef int APART, DROP, EVFILT_WRITE, KIND_SEQPACKET, KIND_TCP, KIND_UNIX_STREAM, _EBADF, _ENOENT, _WORTH_COUNTING


@cython.final
cdef class Collector:
    cdef Registry _registry
    cdef list _inner
    cdef Counts _counts
    cdef set _strays
    cdef unsigned long long _serial
    cdef Py_ssize_t _owed
    cdef bint reused
    cdef bint rebuild
    cdef bint woken
    cdef int wake

    cpdef begin(self, Harvest harvest)
    @cython.locals(i=cython.int, token=cython.ulonglong, fd=cython.Py_ssize_t, slots=list, source=Source,
                   registry=Registry, again=Knote,
                   counted=cython.bint, asked=cython.int, before=cython.int, batch=Batch)
    cpdef gather(self, Harvest harvest, int n)
    @cython.locals(source=Source, registry=Registry, interest=Interest, gone=list)
    cpdef renew(self, Harvest harvest)
    @cython.locals(i=cython.int, token=cython.ulonglong, fd=cython.Py_ssize_t, batch=Batch, slots=list, source=Source,
                   counts=Counts)
    cdef bint _count(self, Harvest harvest, int n) except -1
    @cython.locals(kn=Knote)
    cdef inline _hit(self, Harvest harvest, int lane, Source source, unsigned int mask)
    @cython.locals(kn=Knote, after=Knote, armed=cython.uint, stale=cython.bint, seen=cython.bint)
    cdef _hit_unusual(self, Harvest harvest, int lane, Source source, unsigned int mask)
    @cython.locals(i=cython.int)
    cpdef note(self, Harvest harvest, int n)
    @cython.locals(i=cython.int, n=cython.int, source=Source, number=cython.int, inside=cython.int, inner=Harvest,
                   reader=Drain)
    cdef _note_one(self, int lane, unsigned long long token, unsigned int mask)
    @cython.locals(kn=Knote)
    cdef _note(self, Source source, int lane, unsigned int mask)
    @cython.locals(engine=Engine, inner=Harvest)
    cdef int _ask_lane(self, int lane, int most) except -10000
    @cython.locals(interest=Interest, rc=cython.int)
    cdef bint _tell(self, Harvest harvest, Source source) except -1
    cdef _settle(self, Harvest harvest, Source source)
    cdef bint _goes_first(self, Source source, Knote kn) noexcept
    @cython.locals(lane=cython.int, i=cython.int, n=cython.int, most=cython.int, asked=cython.Py_ssize_t,
                   source=Source, inner=Harvest, reader=Drain,
                   registry=Registry, token=cython.ulonglong)
    cdef _internal(self, Harvest harvest, int number)
    @cython.locals(kn=Knote, source=Source, count=cython.Py_ssize_t, fresh=cython.bint, hint=cython.uint)
    cdef _flush(self, Harvest harvest, ReadyList waiting)
    @cython.locals(source=Source, registry=Registry)
    cdef _put_off(self, Harvest harvest, Knote kn, unsigned int hint)
    @cython.locals(source=Source)
    cdef bint _is_reported(self, Knote kn) noexcept
    @cython.locals(event=kevent, source=Source, verdict=cython.int, place=cython.Py_ssize_t)
    cdef bint _offer(self, Harvest harvest, Knote kn, unsigned int hint) except -1
    @cython.locals(source=Source)
    cdef _not_active(self, Harvest harvest, Knote kn, unsigned int hint)
    @cython.locals(count=cython.uint, hits=cython.ulonglong)
    cdef inline bint _is_stale(self, Source source, Knote kn, unsigned long long serial, unsigned int hint) noexcept
    cdef _stray(self, unsigned long long token)
