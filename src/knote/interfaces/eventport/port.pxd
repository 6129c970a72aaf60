cimport cython

from knote.interfaces.eventport.descriptors cimport Descriptor
from knote.interfaces.eventport.source cimport Source
from knote.kevent cimport kevent as Event

cdef unsigned int EV_EOF
cdef int PORT_SOURCE_FD


@cython.final
cdef class Found:
    cdef list events
    cdef list sources
    cdef Py_ssize_t count
    cdef put(self, event, source)


@cython.final
cdef class Port:
    cdef object _alert
    cdef bint _closed
    cdef object _control
    cdef object _sent
    cdef object _acquire
    cdef object _release
    cdef readonly dict descriptors
    cdef readonly dict files
    cdef readonly dict idle
    cdef readonly dict timers
    cdef readonly object kqueue
    cdef readonly object lock
    cpdef list control(self, list changes, room=*, seconds=*)
    cpdef check(self)
    cdef _wake(self)
    cpdef queue(self, Source source)
    cpdef send(self, event)
    cpdef alert(self, event, bint update)
    @cython.locals(record=Descriptor)
    cpdef associate_number(self, int number, int events, user)
    cpdef associate(self, Source source)
    cpdef dissociate(self, dict sources, key, what)
    @cython.locals(found=Found)
    cpdef get(self, seconds)
    @cython.locals(found=Found, had=cython.Py_ssize_t)
    cpdef getn(self, Py_ssize_t most, Py_ssize_t least, seconds)
    @cython.locals(found=Found, room=cython.Py_ssize_t)
    cdef Py_ssize_t _available(self) except -1
    cdef bint _wait(self, Py_ssize_t room, deadline, Found found) except -1
    @cython.locals(event=Event, record=Descriptor, woken=cython.bint, before=cython.Py_ssize_t)
    cdef bint _judge(self, list events, Py_ssize_t room, Found found) except -1
    @cython.locals(i=cython.Py_ssize_t, source=Source)
    cdef _give_back(self, Found found)
