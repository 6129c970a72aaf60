cimport cython

from knote.interfaces.iocp.port cimport Port

cdef int NOTHING, READ, READINTO, RECV, RECVINTO, RECVFROM, RECVFROMINTO, LAST_READ, SENDTO, CONNECT, DISCONNECT
cdef int LAST_SIMPLE, SEND, WRITE, TRANSMIT, ACCEPT, FIRST_ACCEPT, CONNECTPIPE
cdef int ERROR_SUCCESS, ERROR_IO_PENDING, ERROR_IO_INCOMPLETE, ERROR_BROKEN_PIPE


cdef class Overlapped:
    cdef object __weakref__
    cdef bint _cancelled
    cdef int _code
    cdef object _data
    cdef int _errno
    cdef object _flags
    cdef Port _home
    cdef object _key
    cdef readonly int _kind
    cdef readonly Py_ssize_t _moved
    cdef object _offset
    cdef object _other
    cdef Port _port
    cdef object _request
    cdef Py_ssize_t _size
    cdef readonly object address
    cdef readonly int error
    cdef readonly object event
    cdef readonly int handle
    cdef _result(self, seconds)
    @cython.locals(port=Port)
    cdef _await(self, seconds)
    cpdef cancel(self)
    @cython.locals(port=Port)
    cdef _begin(self, int kind, int handle)
    cdef _submit(self, request, bint later)
    cpdef advance(self, long long data)
    @cython.locals(port=Port)
    cdef _end(self, long long data)
    cpdef fire(self, event)
    cdef _unwatch(self)
    cdef bint _next(self, long long data) except -1
    cdef _read(self, int kind, int handle, buffer, offset)
    @cython.locals(moved=cython.Py_ssize_t, size=cython.Py_ssize_t)
    cdef bint _send_now(self, int handle, buf) except -1
    cdef _write(self, buf, request)
    cdef bint _transmit(self, long long data) except -1
    cdef _accepted(self, connection)
