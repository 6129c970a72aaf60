cimport cython

from knote._kernel.pin cimport Pin
from knote.knote cimport Knote
from knote.listio cimport Listio

cdef int READ, WRITE, FSYNC, FDATASYNC, ACCEPT, CONNECT, RECV, RECVFROM, SEND, SENDTO
cdef int IDLE, ARMED, FLYING, DONE
cdef int AIO_ALLDONE, _EINPROGRESS, _INT_MAX


cdef class Request:
    cdef object __weakref__
    cdef readonly int op
    cdef public int fd
    cdef public object buffer
    cdef public unsigned long long offset
    cdef public unsigned int flags
    cdef public object udata
    cdef readonly unsigned long long ident
    cdef public int state
    cdef public long long value
    cdef public Pin pin
    cdef Knote knote
    cdef public Listio group
    cdef public object home
    cdef public object target
    cdef public object owner
    cdef public bint waiting
    cdef public bint cancelling
    cdef public bint retried

    cpdef arm(self)
    cpdef disarm(self)
    cpdef take(self)
    cdef int _look(self) except -1


cdef class Accept(Request):
    cdef bint _taken
    cpdef arm(self)
    cpdef take(self)


cdef class Datagram(Request):
    cdef public bytes name
    cdef public bytearray message
    cdef public Pin head
    cdef public object sender
    cpdef arm(self)


@cython.locals(request=Request, armed=cython.Py_ssize_t)
cpdef arm(list requests)
@cython.locals(request=Request)
cpdef disarm(list requests)
