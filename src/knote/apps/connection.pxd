cimport cython

from knote.apps.handler cimport Handler
from knote.apps.outgoing cimport Outgoing

cdef int CALL, PROTOCOL, UPPER, CHARGEN, DAYTIME
cdef unsigned int BEGUN, CLOSED, ENDED, FINISHING, FULL, HELD, LINGERING, READING, SILENT, _DEAF


cdef class Driver:
    cdef readonly object server
    cdef readonly Py_ssize_t high
    cdef readonly Py_ssize_t low
    cpdef add(self, list connections)
    cpdef send(self, Connection connection, object data)
    cpdef await_room(self, Connection connection)
    cpdef steer(self, Connection connection, bint reading)
    cpdef finish(self, Connection connection)
    cpdef remove(self, Connection connection)


@cython.final
cdef class Connection(Handler):
    cdef readonly Driver driver
    cdef readonly object listener
    cdef readonly object work
    cdef public object wrap
    cdef public Outgoing out
    cdef object stash
    cdef object why
    cdef public object address
    cdef readonly unsigned long long id
    cdef public unsigned long long received
    cdef public unsigned long long sent
    cdef public long long opened
    cdef unsigned long long flight
    cdef public int fd
    cdef readonly int kind
    cdef public unsigned int flags
    cdef public int seen
    cdef public int thrown
    cdef int slot
    cdef int place

    cpdef bint write(self, object data) except -1
    cpdef close(self)
    cpdef abort(self)
    cpdef bint is_closed(self) noexcept
    cpdef pause(self)
    cpdef resume(self)
    cpdef begin(self)
    cdef _speak(self)
    cpdef took(self, bytes data)
    cpdef plain(self, bytes data)
    @cython.locals(out=Outgoing)
    cpdef push(self, object data)
    @cython.locals(out=Outgoing)
    cpdef relieved(self)
    cpdef ended(self)
    @cython.locals(reading=cython.bint)
    cdef steer(self)
    cpdef finish(self, object why)
    cdef close_now(self)
    cpdef failed(self, object error)
    cpdef drop(self, object why)
