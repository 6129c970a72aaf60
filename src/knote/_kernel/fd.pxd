cdef class Counts:
    cdef int *_fds
    cdef int *_counts
    cdef int _capacity
    cdef readonly int n
    cdef readonly int tcp
    cpdef int reserve(self, int n) except -1
    cpdef int fetch(self) noexcept

    cdef inline int ask(self, int fd, bint tcp) noexcept:
        self._fds[self.n] = fd
        self.n += 1
        self.tcp += tcp
        return 0

    cdef inline int asked(self, int i) noexcept:
        return self._fds[i]

    cdef inline int count(self, int i) noexcept:
        return self._counts[i]


cpdef unsigned long long describe(int fd) noexcept
cpdef bint same(int fd, unsigned long long identity) noexcept
cpdef int is_open(int fd) noexcept
cpdef int readable(int fd) noexcept
cpdef int peekable(int fd) noexcept
cpdef int pipe_space(int fd) noexcept
cpdef int send_space(int fd) noexcept
cpdef int unsent(int fd) noexcept
cpdef int poll(int fd, int events) noexcept
cpdef int tcp_state(int fd) noexcept
cpdef int tcp_accept_queue(int fd) noexcept
cpdef int unix_accept_queue(int fd) noexcept
cpdef bint unix_send_shut(int fd) noexcept
cpdef int receive_mark(int fd) noexcept
cpdef long long file_rest(int fd) noexcept
cpdef long long eventfd_count(int fd) noexcept
cpdef long long timerfd_count(int fd) noexcept
cpdef long long mqueue_count(int fd, bint room) noexcept
cpdef bint is_path(int fd, int kind) noexcept
cpdef long long tcp_acked(int fd) noexcept
cpdef long long tcp_idle_ms(int fd) noexcept
