cimport cython

from knote._kernel.flow cimport Flow


@cython.locals(flow=Flow)
cpdef str why_not()
