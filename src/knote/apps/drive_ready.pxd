cimport cython

from knote._kernel.stream cimport Room, send_one, shut
from knote._kernel.time cimport close_fd
from knote.apps.connection cimport Connection, Driver
from knote.apps.ends cimport Ends
from knote.apps.handler cimport Handler
from knote.apps.outgoing cimport Outgoing
from knote.apps.wheel cimport Wheel
from knote.harvest cimport Harvest
from knote.kevent cimport kevent as Event
from knote.kqueue cimport kqueue as Kqueue
from knote.queue cimport Queue

cdef int EVENTS, EVFILT_READ, EVFILT_WRITE, UPPER, ECHO, DISCARD, CHARGEN, _EAGAIN, _EINTR
cdef unsigned int AWAITED, CLOSED, ENDED, LINGERING, OVER, READING, SILENT, WHOLE


cdef class Ready(Driver):
    cdef Kqueue _kq
    cdef object _control
    cdef Ends _ends
    cdef Harvest _harvest
    cdef Room _room
    cdef Wheel _wheel
    cdef public long long patience

    @cython.locals(harvest=Harvest, events=list, i=cython.int, n=cython.int, event=Event, queue=Queue,
                   connection=Connection)
    cpdef turn(self)
    @cython.locals(count=cython.Py_ssize_t, sent=cython.Py_ssize_t, kind=cython.int)
    cdef _receive(self, Connection connection)
    @cython.locals(count=cython.Py_ssize_t, out=Outgoing)
    cdef _flush(self, Connection connection)
    @cython.locals(connection=Connection)
    cpdef add(self, list connections)
    cdef _arrival(self, Connection connection)
    @cython.locals(count=cython.Py_ssize_t, sent=cython.Py_ssize_t)
    cpdef send(self, Connection connection, object data)
    cpdef await_room(self, Connection connection)
    cpdef steer(self, Connection connection, bint reading)
    cpdef finish(self, Connection connection)
    cdef _change(self, Connection connection, object change)
    cpdef remove(self, Connection connection)
    cdef bint _linger(self, Connection connection) except -1
    @cython.locals(count=cython.Py_ssize_t)
    cdef _throw_away(self, Connection connection)
    cdef _delete(self, int fd, int number)
    @cython.locals(event=Event)
    cpdef close(self)
