cimport cython

from knote._kernel.fd cimport (
    eventfd_count, is_path, mqueue_count, pipe_space, poll, same, send_space, tcp_state, unix_send_shut,
)
from knote.filewatch cimport FileWatch
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.source cimport Source

cdef unsigned int IN, OUT, ERR, HUP, NVAL, RDHUP, PLAIN, SOFT, EV_CLEAR, EV_EOF, EV_ONESHOT, NOTE_LOWAT, NOTE_NODATA
cdef int KIND_TCP, KIND_UNIX_STREAM, KIND_SEQPACKET, KIND_DATAGRAM, KIND_PIPE, KIND_FIFO, KIND_FILE, KIND_OTHER
cdef int KIND_EVENTFD, KIND_MQUEUE, KIND_VIRTUAL_FILE
cdef int _EBADF, _EINVAL, _EPIPE, _ECONNREFUSED, _ECONNRESET, _ESTABLISHED
cdef long long _INT64_MAX


cdef class Write(Filter):
    cdef FileWatch _files
    cpdef int attach(self, Knote kn) except -1
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    @cython.locals(source=Source, n=cython.longlong)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    @cython.locals(n=cython.longlong)
    cdef int _eventfd(self, Knote kn, Source source, unsigned int hint) noexcept
    cdef int _pipe(self, Knote kn, Source source, unsigned int hint) noexcept
    cdef int _socket(self, Knote kn, Source source, unsigned int hint) noexcept
    cdef int _settle(self, Knote kn) noexcept
    cdef bint _shut(self, Source source) noexcept
