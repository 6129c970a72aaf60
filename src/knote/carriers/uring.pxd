cimport cython

from knote._kernel.pin cimport Pin
from knote.carriers.base cimport Carrier
from knote.request cimport Datagram, Request
from knote.ring cimport Ring

cdef int ACCEPT, CONNECT, FDATASYNC, FSYNC, READ, RECV, RECVFROM, SEND, SENDTO, WRITE, FLYING, DONE
cdef int AIO_ALLDONE, AIO_CANCELED, AIO_NOTCANCELED
cdef int OP_ACCEPT, OP_ASYNC_CANCEL, OP_CONNECT, OP_FSYNC, OP_POLL_ADD, OP_READ, OP_RECV, OP_RECVMSG
cdef int OP_SEND, OP_SENDMSG, OP_WRITE
cdef unsigned int FSYNC_DATASYNC, POLLIN, POLLOUT, SOCK_CLOEXEC, _MOST
cdef unsigned long long _CANCEL
cdef int _EAGAIN, _EALREADY, _EBUSY, _ECANCELED, _EFAULT, _EINPROGRESS, _EINTR, _ENOENT


cdef class UringCarrier(Carrier):
    cdef Ring _ring
    cdef int _answer
    cdef bint _closing
    cdef bint _dirty

    @cython.locals(op=cython.int, code=cython.int, address=cython.ulonglong, size=cython.uint, offset=cython.ulonglong,
                   flags=cython.uint, pin=Pin, datagram=Datagram)
    cdef _again(self, Request request)
    @cython.locals(rc=cython.int)
    cdef _put(self, Request request, int code, unsigned long long address, unsigned int size,
              unsigned long long offset, unsigned int flags)
    cpdef start(self, Request request)
    @cython.locals(rc=cython.int, n=cython.int, i=cython.int, request=Request)
    cpdef flush(self)
    cpdef reap(self)
    @cython.locals(ring=Ring, n=cython.int, i=cython.int, token=cython.ulonglong, request=Request, result=cython.int)
    cdef _take(self)
    @cython.locals(reading=cython.bint)
    cdef _judge(self, Request request, int result)
    cpdef int cancel(self, Request request) except -1
    @cython.locals(request=Request)
    cpdef close(self)
    @cython.locals(rc=cython.int)
    cdef _finish_all(self)
    @cython.locals(request=Request, before=cython.Py_ssize_t)
    cdef _cancel_all(self)
