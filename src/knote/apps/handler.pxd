cimport cython


cdef class Handler:
    cpdef ready(self, event)


@cython.locals(handler=Handler)
cpdef deliver(list events)
