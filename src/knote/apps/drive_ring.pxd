cimport cython

from knote._kernel.flow cimport Flow
from knote._kernel.stream cimport shut
from knote._kernel.time cimport close_fd, run_signal_handlers
from knote.apps.connection cimport Connection, Driver
from knote.apps.handler cimport Handler
from knote.apps.outgoing cimport Outgoing
from knote.apps.wheel cimport Wheel
from knote.harvest cimport Harvest
from knote.kevent cimport kevent as Event
from knote.kqueue cimport kqueue as Kqueue
from knote.queue cimport Queue
from knote.ring cimport Ring

cdef int EVENTS, UPPER, ECHO, _EAGAIN, _EBUSY, _ECANCELED, _EINTR, _ENOBUFS
cdef unsigned int ARMED, AWAITED, CLOSED, FINISHING, READING, SILENT, SLOW
cdef unsigned long long NOTHING, QUEUE, ACCEPT, RECEIVE, SEND, ROOM


cdef class Streams(Driver):
    cdef Kqueue _kq
    cdef Wheel _wheel
    cdef Harvest _harvest
    cdef Ring _ring
    cdef Flow _flow
    cdef list _table
    cdef Py_ssize_t _open
    cdef unsigned long long _batch
    cdef dict _accepting
    cdef list _unarmed
    cdef list _arrived
    cdef list _later
    cdef list _closing
    cdef list _resumed
    cdef list _dry
    cdef dict _flying
    cdef bint _polled

    @cython.locals(ring=Ring, flow=Flow)
    cdef _begin(self)
    @cython.locals(flow=Flow, i=cython.int, n=cython.int, token=cython.ulonglong, op=cython.ulonglong)
    cpdef turn(self)
    @cython.locals(flow=Flow, rc=cython.int)
    cdef _submit(self, int wait)
    @cython.locals(connection=Connection, flow=Flow)
    cdef _go_on(self)
    @cython.locals(harvest=Harvest, queue=Queue, i=cython.int, n=cython.int, event=Event, handler=Handler)
    cdef _deliver(self)
    @cython.locals(flow=Flow, connection=Connection, kind=cython.int)
    cdef _received(self, int fd, int count, int bid, bint more)
    cdef _keep(self, Connection connection, bytes data)
    @cython.locals(connection=Connection)
    cdef _serve_kept(self)
    @cython.locals(flow=Flow, once=cython.bint)
    cdef _arm(self, Connection connection)
    @cython.locals(flow=Flow)
    cpdef send(self, Connection connection, object data)
    @cython.locals(flow=Flow, connection=Connection)
    cdef _cut_short(self, unsigned long long token, int result)
    cpdef await_room(self, Connection connection)
    @cython.locals(flow=Flow, out=Outgoing)
    cdef _launch(self, Connection connection)
    @cython.locals(connection=Connection, out=Outgoing)
    cdef _room(self, int fd, int count)
    cpdef finish(self, Connection connection)
    @cython.locals(connection=Connection, table=list)
    cpdef add(self, list connections)
    @cython.locals(flow=Flow)
    cpdef steer(self, Connection connection, bint reading)
    cpdef remove(self, Connection connection)
    cdef _part(self, Connection connection)
    cdef _accepted(self, int fd, int result, bint more)
    @cython.locals(flow=Flow, ring=Ring, connection=Connection, i=cython.int, n=cython.int, event=Event, fd=cython.int,
                   op=cython.ulonglong)
    cpdef close(self)
