cimport cython

from knote._kernel.flow cimport Flow
from knote.apps.handler cimport Handler
from knote.harvest cimport Harvest
from knote.kevent cimport kevent as Event
from knote.kqueue cimport kqueue as Kqueue
from knote.queue cimport Queue

cdef int EVENTS


cdef class Polled:
    cdef Kqueue _kq
    cdef Harvest _harvest
    cdef bint _is_polled

    cdef poll(self, Flow flow, unsigned long long token)
    @cython.locals(harvest=Harvest, queue=Queue, i=cython.int, n=cython.int, event=Event, handler=Handler)
    cdef deliver(self)
    cdef listen(self, listener)
    cdef unlisten(self, listener)
    @cython.locals(event=Event)
    cdef close(self)
