from knote._kernel.poll cimport Poll
from knote.engines.listed cimport ListedEngine


cdef class PollEngine(ListedEngine):
    pass
