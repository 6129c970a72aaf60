cimport cython

from knote.apps.connection cimport Connection

cdef unsigned int CLOSED, FINISHING, READING


cdef class Kept:
    cdef list _resumed
    cdef bint some

    cdef keep(self, Connection connection, bytes data)
    cdef resume(self, Connection connection)
    cdef ended(self, Connection connection)
    @cython.locals(resumed=list, connection=Connection)
    cdef list serve(self)
