cimport cython

from knote._kernel.watchset cimport WatchSet


@cython.final
cdef class Select(WatchSet):
    pass
