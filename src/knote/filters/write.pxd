from knote._kernel.fd cimport pipe_space, poll, same, send_space, tcp_state, unix_send_shut
from knote.filewatch cimport FileWatch
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.source cimport Source

cdef unsigned int IN, OUT, ERR, HUP, NVAL, RDHUP, SOFT, EV_CLEAR, EV_EOF, EV_ONESHOT, NOTE_LOWAT, NOTE_NODATA
cdef int KIND_TCP, KIND_UNIX_STREAM, KIND_SEQPACKET, KIND_DATAGRAM, KIND_PIPE, KIND_FIFO, KIND_FILE, KIND_OTHER
cdef int _EBADF, _EINVAL, _EPIPE, _ECONNREFUSED, _ECONNRESET, _ESTABLISHED


cdef class Write(Filter):
    cdef FileWatch _files
    cpdef int attach(self, Knote kn) except -1
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    cdef int _pipe(self, Knote kn, Source source, unsigned int hint) noexcept
    cdef int _socket(self, Knote kn, Source source, unsigned int hint) noexcept
    cdef bint _shut(self, Source source) noexcept
