cimport cython

from knote.kevent cimport kevent as Event


cdef class Port:
    cdef object __weakref__
    cdef object _later
    cdef object _packets
    cdef list _waiting
    cdef readonly int handle
    cdef readonly object kqueue
    cdef readonly dict pending
    cdef readonly dict waits
    cpdef close(self)
    cpdef wake(self)
    cpdef start(self, request, bint later)
    cpdef begin(self)
    cdef list _taken(self)
    cdef _one_by_one(self, list requests)
    cpdef cancel(self, handle)
    cpdef post(self, tuple packet)
    cpdef get(self, unsigned long long milliseconds)
    cpdef list get_many(self, Py_ssize_t count, unsigned long long milliseconds)
    cdef _fill(self, unsigned long long milliseconds)
    @cython.locals(event=Event, events=list)
    cpdef bint pump(self, seconds) except -1
