cdef class Drain:
    cpdef drain(self, int number)
