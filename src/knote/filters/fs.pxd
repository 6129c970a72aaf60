cimport cython

from knote.filters.base cimport Filter
from knote.host cimport Host
from knote.knote cimport Knote

cdef unsigned int ACTIVE, DISABLED, SOFT, EV_CLEAR, VQ_MOUNT, VQ_UNMOUNT, VQ_UPDATE, _KNOWN, _UNTOLD
cdef int PRI, _EINVAL, _EOPNOTSUPP


cdef class Fs(Filter):
    cdef Host _host
    cdef int _fd
    cdef list _knotes
    cdef dict _mounts
    @cython.locals(rc=cython.int)
    cpdef int attach(self, Knote kn) except -1
    @cython.locals(rc=cython.int)
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    cpdef detach(self, Knote kn)
    cpdef drain(self, int number)
    cpdef close(self)
    cdef int _refuse(self, unsigned int notes) noexcept
    @cython.locals(fd=cython.int, rc=cython.int)
    cdef int _open(self) except -1
    cdef dict _read(self)
    @cython.locals(kn=Knote, happened=cython.uint, notes=cython.uint)
    cdef _look(self)
