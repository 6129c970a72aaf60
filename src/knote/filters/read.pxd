cimport cython

from knote._kernel.fd cimport (
    eventfd_count, file_rest, is_path, mqueue_count, peekable, poll, readable, receive_mark, same,
    tcp_accept_queue, tcp_state, timerfd_count, unix_accept_queue,
)
from knote.filewatch cimport FileWatch
from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.source cimport Source

cdef unsigned int IN, ERR, HUP, NVAL, RDHUP, ASK, PLAIN, SOFT, EV_CLEAR, EV_EOF, NOTE_LOWAT, NOTE_NODATA, NOTE_FILE_POLL
cdef int KIND_TCP, KIND_UNIX_STREAM, KIND_SEQPACKET, KIND_PIPE, KIND_FIFO, KIND_FILE, KIND_DIRECTORY, KIND_OTHER
cdef int KIND_TTY, KIND_VIRTUAL_FILE, KIND_EVENTFD, KIND_TIMERFD
cdef int _EBADF, _EINVAL, _ENOTSOCK, _ENOTTY, _ECONNREFUSED, _ECONNRESET, _CLOSE_WAIT, _ESTABLISHED, _LISTEN, _ECONNABORTED
cdef long long NO_FILE


cdef class Read(Filter):
    cdef FileWatch _files
    cdef public int number
    cdef readonly set nested
    cdef readonly Py_ssize_t counting
    cdef _counting(self, Source source, bint counting)
    @cython.locals(source=Source, state=cython.int, error=cython.int)
    cpdef int attach(self, Knote kn) except -1
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    @cython.locals(source=Source, n=cython.int, stream=cython.bint)
    cpdef int event(self, Knote kn, unsigned int hint) except -2
    @cython.locals(source=Source)
    cpdef detach(self, Knote kn)
    @cython.locals(n=cython.longlong)
    cdef int _counter(self, Knote kn, Source source, unsigned int hint) noexcept
    @cython.locals(n=cython.longlong, news=cython.bint)
    cdef int _queue(self, Knote kn, Source source) except -2
    cdef int _listening(self, Knote kn, Source source, unsigned int hint) noexcept
    cdef int _ended(self, Knote kn, Source source, unsigned int hint) noexcept
    cdef int _file(self, Knote kn, Source source) noexcept
    cdef long long _mark(self, Knote kn, Source source) noexcept
    cdef int _settle(self, Knote kn) noexcept
