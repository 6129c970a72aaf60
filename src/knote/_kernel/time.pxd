cpdef long long now_ns(int clock) noexcept
cpdef long long ceil_ns(double seconds) noexcept
cpdef int timer_create(int clock) noexcept
cpdef int timer_set(int fd, long long deadline_ns) noexcept
cpdef int wake_create() noexcept
cpdef int wake_raise(int fd) noexcept
cpdef int wake_lower(int fd) noexcept
cpdef int close_fd(int fd) noexcept
cpdef int run_signal_handlers(bint yielding) except -1
