cdef class Source:
    cpdef judge(self, port, event)
    cpdef give_back(self, port, event)
