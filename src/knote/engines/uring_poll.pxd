cimport cython

from knote._kernel.batch cimport Batch
from knote._kernel.time cimport close_fd, wake_create, wake_raise
from knote._kernel.uring cimport Uring
from knote.engines.epoll cimport EpollEngine

cdef unsigned int EDGE, ERR, HUP, IN, PRI, DIRECTIONS, MORE
cdef int POLL_ADD, ASYNC_CANCEL, MULTI, _MOST, _EEXIST, _ENOENT, _EBADF
cdef unsigned long long RING, _SLOT


@cython.final
cdef class Poll:
    cdef int fd
    cdef unsigned int mask
    cdef unsigned long long serial
    cdef unsigned long long token
    cdef unsigned long long turn
    cdef int place
    cdef unsigned int due


cdef class UringPollEngine(EpollEngine):
    cdef int _bell
    cdef bint _deaf
    cdef Batch _more
    cdef Uring _uring
    cdef unsigned long _owner
    cdef list _polls
    cdef list _due
    cdef unsigned long long _serial
    cdef unsigned long long _turn
    cdef int _within
    @cython.locals(poll=Poll, ours=cython.bint, before=cython.uint, now=cython.uint, rc=cython.int)
    cpdef int watch(self, int fd, unsigned int old, unsigned int new, unsigned long long token) noexcept
    @cython.locals(poll=Poll, rc=cython.int)
    cdef int _begin(self, int fd, unsigned int mask, unsigned long long token) noexcept
    @cython.locals(rc=cython.int)
    cdef int _arm(self, Poll poll) noexcept
    cdef void _end(self, Poll poll) noexcept
    cdef void _cancel(self, unsigned long long name) noexcept
    @cython.locals(poll=Poll)
    cpdef forget(self, int fd, unsigned long long token)
    @cython.locals(n=cython.int, found=cython.int, pending=cython.bint)
    cpdef int wait(self, Batch batch, int capacity, long long deadline_ns) noexcept
    @cython.locals(more=Batch, room=cython.int, n=cython.int, got=cython.int, i=cython.int)
    cdef int _fill_up(self, Batch batch, int found, int capacity) noexcept
    @cython.locals(i=cython.int, found=cython.int, token=cython.ulonglong, fd=cython.uint, poll=Poll)
    cdef int _sift(self, Batch batch, int n, int capacity, bint asked) noexcept
    @cython.locals(uring=Uring, n=cython.int, i=cython.int, name=cython.ulonglong, fd=cython.uint, poll=Poll,
                   result=cython.int, mask=cython.uint, more=cython.bint)
    cdef int _reap(self, Batch batch, int found, int capacity) noexcept
    @cython.locals(poll=Poll, taken=cython.int)
    cdef int _make_up(self, Batch batch, int found, int capacity) noexcept
    @cython.locals(poll=Poll, rc=cython.int)
    cpdef int rebuild(self) noexcept
    cdef void _listen(self) noexcept
    cpdef close(self)
