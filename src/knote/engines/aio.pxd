from knote._kernel.aiopoll cimport AioPolls
from knote.engines.epoll cimport EpollEngine
from knote.engines.listed cimport ListedEngine


cdef class AioEngine(ListedEngine):
    pass
