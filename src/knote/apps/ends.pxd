cimport cython

from knote.apps.connection cimport Connection

cdef unsigned int CLOSED, OVER, WHOLE


cdef class Ends:
    cdef list _waiting
    cdef bint some

    cdef add(self, Connection connection, bint whole)
    @cython.locals(waiting=list, share=list, ended=list, connection=Connection)
    cdef list take(self)
