cimport cython

from knote._kernel.flow cimport Flow
from knote._kernel.time cimport close_fd
from knote.apps.connection cimport Connection

cdef int SHARE, _EBUSY, _ECANCELED
cdef unsigned int CLOSED


cdef class Doors:
    cdef object _server
    cdef unsigned long long _token
    cdef unsigned long long _nothing
    cdef Flow _flow
    cdef dict _accepting
    cdef list _unarmed
    cdef list arrived

    cdef begin(self, Flow flow)
    @cython.locals(flow=Flow)
    cdef listen(self, listener)
    @cython.locals(flow=Flow)
    cdef unlisten(self, listener)
    cdef bint are_open(self)
    cdef bint is_open(self, int fd)
    cdef accepted(self, int fd, int result, bint more)
    @cython.locals(connection=Connection)
    cdef list share(self)
    cdef too_late(self, int fd, int result, bint more)
    @cython.locals(connection=Connection)
    cdef close(self)
