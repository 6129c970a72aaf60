cimport cython

from knote.interfaces.pollset cimport PollSet

cdef int _INT_MAX

cdef int _milliseconds(timeout) except -2


@cython.final
cdef class DevPoll:
    cdef PollSet _set
    cpdef _open(self, engine)
    cdef _put(self, number, int events)
