cdef class Drain:
    cpdef drain(self, int number)
    cpdef rewatched(self, int number)
