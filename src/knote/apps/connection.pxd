cimport cython

from knote.apps.handler cimport Handler


cdef class Connection(Handler):
    cdef object _server
    cdef object _sock
    cdef object _serve
    cdef object _recv
    cdef object _send
    cdef Outgoing _outgoing
    cdef bint _paused
    cdef readonly bint ended
    cdef readonly int fd

    @cython.locals(size=Py_ssize_t, sent=Py_ssize_t)
    cpdef ready(self, event)
    cdef failed(self, error)
    cdef _input_ended(self)

    @cython.locals(sent=Py_ssize_t)
    cdef Py_ssize_t send_some(self, bytearray data) except -2
    cdef pause(self)
    cdef resume(self)
    cdef drained(self)
    cdef _control(self, change)
    cpdef close(self, bint writing=*)
    cdef _delete(self, int number)


cdef class Outgoing(Handler):
    cdef Connection _connection
    cdef Py_ssize_t _high
    cdef Py_ssize_t _low
    cdef bytearray _rest
    cpdef Py_ssize_t size(self)
    cdef add(self, reply)
    cdef check(self)

    @cython.locals(sent=Py_ssize_t)
    cpdef ready(self, event)
