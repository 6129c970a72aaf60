cimport cython

from knote._kernel.fd cimport describe, is_open, same
from knote._kernel.fork cimport fork_count
from knote._kernel.lock cimport Lock
from knote._kernel.time cimport close_fd, now_ns, run_signal_handlers, wake_create, wake_lower, wake_raise
from knote.engines.base cimport Engine
from knote.filters.base cimport Filter
from knote.harvest cimport Harvest
from knote.interest cimport Interest
from knote.kevent cimport kevent
from knote.knote cimport Knote
from knote.ready cimport ReadyList
from knote.source cimport Source
from knote.table cimport Table

cdef unsigned int ACTIVE, DEAD, DEMOTED, DISABLED, FORCED, SEEN, SOFT
cdef unsigned int EV_ADD, EV_CLEAR, EV_DELETE, EV_DISABLE, EV_DISPATCH, EV_ENABLE, EV_EOF, EV_ERROR
cdef unsigned int EV_FORCEONESHOT, EV_KEEPUDATA, EV_ONESHOT, EV_RECEIPT, NOTE_FFLAGSMASK, NOTE_LOWAT, NOTE_NODATA
cdef unsigned int EDGE, ERR, HUP, STICKY
cdef int EVFILT_TIMER, EVFILT_USER, EVFILT_WRITE, CLOCK_MONOTONIC
cdef int _EBADF, _EINTR, _EINVAL, _ENOENT, _EPERM
cdef unsigned long long _INT_MAX
cdef int _FRESH, _NOT_STAGED, _SPARE


@cython.final
cdef class Queue:
    cdef object __weakref__
    cdef readonly bint closed
    cdef Lock _lock
    cdef Interest _interest
    cdef Engine _engine
    cdef Table _table
    cdef ReadyList _ready
    cdef ReadyList _again
    cdef ReadyList _resting
    cdef ReadyList _late
    cdef list _filters
    cdef dict _drains
    cdef list _clocks
    cdef list _pool
    cdef list _deferred
    cdef list _spare
    cdef list _log
    cdef int _base
    cdef int _place
    cdef bint _staging
    cdef set _strays
    cdef Harvest _lane_harvest
    cdef int _wake
    cdef bint _raised
    cdef int _waiters
    cdef int _evacuating
    cdef unsigned int _epoch
    cdef unsigned int _forks
    cdef unsigned long long _turn
    cdef bint _freed

    cpdef bint is_closed(self) except -1
    cpdef list run(self, list changes, int maxevents, long long deadline)
    cdef Harvest _take(self)
    cdef _give_back(self, Harvest harvest)
    cdef _check(self)
    cdef _leave(self, bint collecting)
    cdef _run_deferred(self)

    @cython.locals(change=kevent, rc=cython.int, fresh=cython.bint, i=cython.int, count=cython.int, back=cython.int)
    cdef _apply(self, list changes, int maxevents, Harvest harvest)
    cdef bint _can_stage(self, kevent change, Filter filt, Source source, Knote kn) noexcept
    cdef _stage(self, Knote kn, Source source)
    @cython.locals(kn=Knote, source=Source, failed=Source, place=cython.int, keep=cython.int, touched=list, log=list)
    cdef int _flush_staged(self, Harvest harvest) except -9
    cdef _revive(self, Knote kn)
    cdef _recycle(self, Knote kn, Harvest harvest)
    cdef _report(self, Harvest harvest, kevent change, int error, bint fresh)
    @cython.locals(number=cython.int, flags=cython.uint, filt=Filter, source=Source, kn=Knote, fd=cython.int, rc=cython.int)
    cdef int _change(self, kevent change, Harvest harvest) except -9
    @cython.locals(source=Source, kn=Knote, fd=cython.int, rc=cython.int, identity=cython.ulonglong)
    cdef int _create(self, kevent change, Filter filt, Source source, Harvest harvest) except -9
    @cython.locals(rc=cython.int, source=Source)
    cdef int _modify(self, kevent change, Knote kn, unsigned int flags, Harvest harvest) except -9
    @cython.locals(source=Source, rc=cython.int, home=cython.int)
    cdef int _delete(self, Knote kn, Harvest harvest) except -9
    cdef _unlink(self, Knote kn)
    cdef _bury(self, Knote kn, Harvest harvest)
    @cython.locals(kn=Knote)
    cdef _vanish(self, Source source, Harvest harvest)
    @cython.locals(kn=Knote)
    cdef _soften(self, Source source)

    @cython.locals(batch_room=cython.int, n=cython.int, ready=cython.Py_ssize_t, epoch=cython.uint,
                   events=list)
    cdef list _collect(self, Harvest harvest, int maxevents, long long deadline, bint alone)
    cdef _back(self, unsigned int epoch)
    @cython.locals(kn=Knote, again=Knote, carry=cython.Py_ssize_t, i=cython.int, token=cython.ulonglong, mask=cython.uint,
                   source=Source)
    cdef _gather(self, Harvest harvest, int n)
    @cython.locals(kn=Knote, after=Knote, armed=cython.uint, stale=cython.bint, first=Knote)
    cdef _hit(self, Harvest harvest, int lane, Source source, unsigned int mask)
    @cython.locals(engine=Engine, lane=cython.int, i=cython.int, n=cython.int, source=Source, inner=Harvest,
                   filt=Filter)
    cdef _internal(self, Harvest harvest, int token)
    @cython.locals(kn=Knote, source=Source, count=cython.Py_ssize_t)
    cdef _flush(self, Harvest harvest, ReadyList ready)
    @cython.locals(event=kevent, source=Source, verdict=cython.int)
    cdef _offer(self, Harvest harvest, Knote kn, unsigned int hint)
    cdef _not_active(self, Knote kn, unsigned int hint)
    @cython.locals(source=Source)
    cdef _stray(self, Harvest harvest, unsigned long long token)
    cdef bint _goes_first(self, Source source, Knote kn) noexcept
    @cython.locals(u=cython.uint)
    cdef bint _is_stale(self, Source source) noexcept
    cdef _settle_wake(self)
    cdef _free(self)
    cdef list _shut(self)
