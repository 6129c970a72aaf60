cimport cython

from knote._kernel.fork cimport fork_count
from knote._kernel.lock cimport Lock
from knote._kernel.time cimport close_fd, now_ns, run_signal_handlers, wake_create, wake_lower, wake_raise
from knote.collector cimport Collector
from knote.engines.base cimport Engine
from knote.harvest cimport Harvest
from knote.kevent cimport kevent
from knote.registry cimport Registry

cdef int CLOCK_MONOTONIC
cdef int _EBADF, _EINTR, _TRIES


@cython.final
cdef class Queue:
    cdef object __weakref__
    cdef readonly bint closed
    cdef Lock _lock
    cdef Registry _registry
    cdef Collector _collector
    cdef Engine _engine
    cdef list _pool
    cdef list _deferred
    cdef list _unheard
    cdef list _graves
    cdef int _wake
    cdef bint _levels
    cdef bint _raised
    cdef bint _edged
    cdef Py_ssize_t _told
    cdef int _waiters
    cdef int _evacuating
    cdef unsigned int _epoch
    cdef unsigned int _forks
    cdef bint _freed

    cpdef bint is_closed(self) except -1
    cpdef list run(self, list changes, int maxevents, long long deadline)
    cpdef int reap(self, Harvest harvest, int maxevents, long long deadline) except -1
    cdef Harvest _take(self)
    cdef _give_back(self, Harvest harvest)
    cdef _check(self)
    cdef _leave(self, bint collecting)
    @cython.locals(harvest=Harvest)
    cdef _run_deferred(self)
    @cython.locals(asked=cython.int, watched=cython.int, wanted=cython.Py_ssize_t, n=cython.int, ready=cython.Py_ssize_t, epoch=cython.uint, events=list, left=cython.Py_ssize_t, calls=cython.uint, whole=cython.bint,
                   at_once=cython.bint,
                   registry=Registry)
    cdef list _collect(self, Harvest harvest, int maxevents, long long deadline, bint alone)
    cdef _rebuild(self, Harvest harvest)
    @cython.locals(count=cython.Py_ssize_t, more=cython.bint)
    cdef bint _settle_wake(self) except -1
    cdef _let_go(self, bint late)
    cpdef int pending(self) except -2
    @cython.locals(harvest=Harvest, n=cython.int, room=cython.int)
    cdef int _pending(self) except -2
    cpdef tell_edges(self)
    cpdef serve(self, int verb, object one=*, object other=*)
    cpdef list nested(self)
    cpdef list knotes(self)
    cdef _free(self)
    cdef _shut(self)
