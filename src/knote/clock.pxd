from knote.knote cimport Knote


cdef class Clock:
    cdef readonly int id
    cdef readonly int fd
    cdef readonly unsigned long long token
    cdef list _heap
    cdef long long _armed
    cdef unsigned long long _serial
    cdef Py_ssize_t _stale
    cpdef long long now(self)
    cpdef add(self, Knote kn)
    cpdef forget(self)
    cpdef Knote expired(self, long long now)
    cpdef arm(self)
    cpdef fired(self)
    cpdef close(self)
