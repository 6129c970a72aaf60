from knote._kernel.fd cimport Counts
from knote._kernel.ringcalls cimport RingCalls
from knote.engines.epoll cimport EpollEngine

cdef int BATCH, COUNTED


cdef class UringEngine(EpollEngine):
    cdef RingCalls _calls
    cpdef int flush(self) noexcept
    cpdef int fetch(self, Counts counts) noexcept
    cpdef close(self)
