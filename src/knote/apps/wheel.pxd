cimport cython

from knote.apps.connection cimport Connection
from knote.apps.handler cimport Handler

cdef int SLOTS
cdef unsigned int SILENT


cdef class Wheel(Handler):
    cdef object _control
    cdef list _slots
    cdef Py_ssize_t _count
    cdef int _tick_ms
    cdef int _idle
    cdef int _first
    cdef readonly int now

    cdef int _ticks(self, object seconds) except -1
    cpdef add(self, Connection connection)
    @cython.locals(slot=cython.int, there=list)
    cdef _put(self, Connection connection)
    @cython.locals(allowed=cython.int)
    cdef int _due(self, Connection connection) noexcept
    @cython.locals(there=list, last=Connection)
    cpdef remove(self, Connection connection)
    @cython.locals(slot=cython.int, here=list, connection=Connection, allowed=cython.int,
                   silent=cython.bint)
    cpdef ready(self, event)
