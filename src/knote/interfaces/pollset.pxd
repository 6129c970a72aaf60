cimport cython

from knote.kevent cimport kevent as Event
from knote.kqueue cimport kqueue as Kqueue

cdef unsigned int EV_CLEAR, EV_EOF, EV_ERROR, _PRI, _NVAL
cdef int _ASLEEP_MS, _BUSY, _INT_MAX
cdef bint _DIRECT

cdef bint _several(int knotes) noexcept
cdef _changes(list changes, number, int mask, int added, int deleted)


@cython.final
cdef class PollSet:
    cdef readonly bint closed
    cdef Kqueue _queue
    cdef dict _masks
    cdef dict _watched
    cdef dict _dirty
    cdef set _odd
    cdef set _fixed
    cdef set _exact
    cdef int _shared
    cdef Py_ssize_t _turn
    cdef int _given
    cdef int _waiting
    cdef list _next
    cpdef close(self)
    cpdef int fileno(self) except -1
    cpdef check(self)
    cpdef int mask(self, number) except -2
    cpdef add(self, number, int mask)
    cpdef remove(self, number)
    @cython.locals(wanted=cython.int, before=cython.int, dirty=dict)
    cdef _tell(self)
    cdef _wake(self)
    @cython.locals(wanted=cython.int)
    cdef int _sort(self, number) except -1
    cdef list _control(self, list changes, Py_ssize_t room, seconds)
    @cython.locals(event=Event)
    cdef _apply(self, list changes)
    cdef _look(self, list numbers)
    cdef _look_at_a_few(self)
    cpdef list wait(self, int ms, Py_ssize_t room)
    @cython.locals(asleep=cython.int)
    cdef list _wait(self, int ms, Py_ssize_t room)
    @cython.locals(event=Event, events=list, found=dict, i=cython.Py_ssize_t, limit=cython.Py_ssize_t)
    cdef list _ready(self, Py_ssize_t room, seconds)
    @cython.locals(event=Event)
    cdef list _judged(self, list events, dict found, Py_ssize_t room, Py_ssize_t limit)
    @cython.locals(found=dict)
    cdef dict _asked_of_poll(self, set numbers)
