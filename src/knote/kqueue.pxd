cimport cython

from knote._kernel.time cimport now_ns
from knote.queue cimport Queue
from knote.kevent cimport kevent

cdef int CLOCK_MONOTONIC


@cython.final
cdef class kqueue:
    cdef object __weakref__
    cdef Queue _queue
    cdef int _number
    cdef bint _closed
    cdef Queue _open(self)
