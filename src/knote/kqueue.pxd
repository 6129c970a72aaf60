cimport cython

from knote._kernel.time cimport ceil_ns, now_ns
from knote.queue cimport Queue
from knote.kevent cimport kevent

cdef int CLOCK_MONOTONIC
cdef long long _FAR_NS, _C_INT_MAX

@cython.locals(seconds=cython.double)
cdef long long _timeout_ns(object timeout) except -2
cdef list _changes(object changelist)


@cython.final
cdef class kqueue:
    cdef object __weakref__
    cdef Queue _queue
    cdef int _number
    cdef bint _closed
    cdef bint _is_closed(self) except -1
    cdef Queue _open(self)
    cpdef Queue _home(self)
    cdef list _traced(self, Queue queue, list changes, int count, long long ns, object timeout)
    @cython.locals(count=cython.longlong, ns=cython.longlong, changes=list)
    cdef list _control(self, object changelist, object maxevents, object timeout)


@cython.locals(handle=kqueue)
cdef kqueue _handle(Queue queue, int number)
