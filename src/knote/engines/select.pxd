from knote._kernel.select cimport Select
from knote.engines.listed cimport ListedEngine


cdef class SelectEngine(ListedEngine):
    pass
