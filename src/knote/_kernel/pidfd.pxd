cpdef int pidfd_open(int pid) noexcept
cpdef int exit_status(int fd, int pid) noexcept
cpdef int child_status(int pid) noexcept
cpdef int has_ended(int pid) noexcept
cpdef int pidfd_state(int fd) noexcept
cpdef int pidfd_pid(int fd) noexcept
cpdef long long image(int pid) noexcept
cpdef int leader_state(int pid) noexcept
