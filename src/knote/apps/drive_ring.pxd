cimport cython

from knote._kernel.flow cimport Flow
from knote._kernel.stream cimport shut
from knote._kernel.time cimport close_fd, run_signal_handlers
from knote.apps.connection cimport Connection, Driver
from knote.apps.ends cimport Ends
from knote.apps.kept cimport Kept
from knote.apps.outgoing cimport Outgoing
from knote.apps.ring_doors cimport Doors
from knote.apps.ring_queue cimport Polled
from knote.apps.wheel cimport Wheel
from knote.ring cimport Ring

cdef int UPPER, ECHO, SHARE, SIZE, _EAGAIN, _EBUSY, _ECANCELED, _EINTR, _ENOBUFS
cdef unsigned int ARMED, AWAITED, CLOSED, CROWDED, FINISHING, LINGERING, OVER, READING, SILENT, SLOW
cdef unsigned long long NOTHING, QUEUE, ACCEPT, RECEIVE, SEND, ROOM


cdef class Streams(Driver):
    cdef Wheel _wheel
    cdef Polled _queue
    cdef Ring _ring
    cdef Flow _flow
    cdef list _table
    cdef Py_ssize_t _open
    cdef unsigned long long _batch
    cdef Doors _doors
    cdef list _later
    cdef list _closing
    cdef Kept _kept
    cdef list _dry
    cdef Ends _ends
    cdef Py_ssize_t _first
    cdef dict _flying

    @cython.locals(flow=Flow, i=cython.int, n=cython.int, token=cython.ulonglong, op=cython.ulonglong, doors=Doors,
                   connection=Connection)
    cpdef turn(self)
    @cython.locals(flow=Flow, rc=cython.int)
    cdef _submit(self, int wait)
    @cython.locals(connection=Connection, closing=list, flow=Flow, dry=list, most=cython.Py_ssize_t)
    cdef _go_on(self)
    @cython.locals(flow=Flow, connection=Connection, kind=cython.int)
    cdef _received(self, int fd, int count, int bid, bint more)
    cdef bint _is_welcome(self, Connection connection, int count) except -1
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
    @cython.locals(flow=Flow)
    cdef bint _linger(self, Connection connection) except -1
    @cython.locals(flow=Flow, ring=Ring, connection=Connection, i=cython.int, n=cython.int, fd=cython.int,
                   op=cython.ulonglong)
    cpdef close(self)
