"""What one descriptor is, and how much it holds.  See kn_fd.h."""

from libc.stdlib cimport free, realloc


cdef extern from "kn_fd.h" nogil:
    unsigned long long kn_describe(int fd)
    int kn_same(int fd, unsigned long long identity)
    int kn_is_open(int fd)
    int kn_readable(int fd)
    int kn_peekable(int fd)
    void kn_readable_many(const int *fds, int *counts, int n)
    int kn_pipe_space(int fd)
    int kn_send_space(int fd)
    int kn_unsent(int fd)
    int kn_poll(int fd, int events)
    int kn_tcp_state(int fd, int *accept_queue)
    long long kn_tcp_acked(int fd, unsigned int *idle_ms)
    int kn_unix_send_shut(int fd)
    int kn_unix_accept_queue(int fd)
    int kn_socket_option(int fd, int level, int option)
    long long kn_file_rest(int fd, int *error)
    long long kn_eventfd_count(int fd)
    long long kn_timerfd_count(int fd)
    long long kn_mqueue_count(int fd, int free)
    int kn_is_path(int fd, int kind)
    int SOL_SOCKET
    int SO_RCVLOWAT
    int EINVAL
    long long KN_NO_FILE

NO_FILE = KN_NO_FILE


cdef class Counts:
    def __dealloc__(self):
        free(self._fds)
        free(self._counts)

    cpdef int reserve(self, int n) except -1:
        self.n = 0
        self.tcp = 0
        if n > self._capacity:
            self._fds = <int *>_grown(self._fds, n)
            self._counts = <int *>_grown(self._counts, n)
            self._capacity = n
        return 0

    cpdef int fetch(self) noexcept:
        kn_readable_many(self._fds, self._counts, self.n)
        return 0


cdef void *_grown(void *old, int n) except NULL:
    cdef void *grown = realloc(old, <size_t>n * sizeof(int))
    if grown == NULL:
        raise MemoryError
    return grown


cpdef unsigned long long describe(int fd) noexcept:
    return kn_describe(fd)

cpdef bint same(int fd, unsigned long long identity) noexcept:
    return kn_same(fd, identity)

cpdef int is_open(int fd) noexcept:
    return kn_is_open(fd)

cpdef int readable(int fd) noexcept:
    return kn_readable(fd)

cpdef int peekable(int fd) noexcept:
    return kn_peekable(fd)

cpdef int pipe_space(int fd) noexcept:
    return kn_pipe_space(fd)

cpdef int send_space(int fd) noexcept:
    return kn_send_space(fd)

cpdef int unsent(int fd) noexcept:
    return kn_unsent(fd)

cpdef int poll(int fd, int events) noexcept:
    return kn_poll(fd, events)

cpdef int tcp_state(int fd) noexcept:
    cdef int queue
    return kn_tcp_state(fd, &queue)

cpdef int tcp_accept_queue(int fd) noexcept:
    cdef int queue = 0
    cdef int state = kn_tcp_state(fd, &queue)
    if state < 0:
        return state
    return queue if state == 10 else -EINVAL

cpdef int unix_accept_queue(int fd) noexcept:
    return kn_unix_accept_queue(fd)

cpdef bint unix_send_shut(int fd) noexcept:
    return kn_unix_send_shut(fd)

cpdef int receive_mark(int fd) noexcept:
    return kn_socket_option(fd, SOL_SOCKET, SO_RCVLOWAT)

cpdef long long file_rest(int fd) noexcept:
    cdef int error
    cdef long long rest = kn_file_rest(fd, &error)
    return KN_NO_FILE if error else rest

cpdef long long eventfd_count(int fd) noexcept:
    return kn_eventfd_count(fd)

cpdef long long timerfd_count(int fd) noexcept:
    return kn_timerfd_count(fd)

cpdef long long mqueue_count(int fd, bint room) noexcept:
    return kn_mqueue_count(fd, room)

cpdef bint is_path(int fd, int kind) noexcept:
    return kn_is_path(fd, kind)

cpdef long long tcp_acked(int fd) noexcept:
    cdef unsigned int idle
    return kn_tcp_acked(fd, &idle)

cpdef long long tcp_idle_ms(int fd) noexcept:
    cdef unsigned int idle = 0
    cdef long long rc = kn_tcp_acked(fd, &idle)
    return rc if rc < 0 else idle
