cimport cython

from knote._kernel.uring cimport Uring

cdef int SUBMISSIONS, _MOST
cdef int _EINTR, _EAGAIN, _EBUSY


@cython.final
cdef class Ring:
    cdef Uring _uring
    cdef int _entries
    cpdef Uring home(self)
    cdef readonly int fd

    @cython.locals(rc=cython.int)
    cpdef int prepare(self, int op, int fd, unsigned long long addr, unsigned int size, unsigned long long offset,
                      unsigned int flags, unsigned long long token) noexcept
    cpdef int at_once(self) noexcept
    @cython.locals(rc=cython.int)
    cpdef int submit(self) noexcept
    @cython.locals(rc=cython.int)
    cpdef int wait(self) noexcept
    cpdef int retract(self) noexcept
    @cython.locals(n=cython.int)
    cpdef int reap(self) noexcept
    cpdef unsigned long long token(self, int i) noexcept
    cpdef int result(self, int i) noexcept
    cpdef close(self)
