from knote._kernel.rtsig cimport RtSignals
from knote.engines.listed cimport ListedEngine


cdef class RtsigEngine(ListedEngine):
    pass
