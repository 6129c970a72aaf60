"""pidfd_open(2) and what became of the process behind one.  See kn_pidfd.h."""


cdef extern from "kn_pidfd.h" nogil:
    int kn_pidfd_open(int pid)
    int kn_exit_status(int fd, int pid)
    int kn_child_status(int pid)
    int kn_has_ended(int pid)
    int kn_pidfd_poll(int fd)
    int kn_pidfd_pid(int fd)
    long long kn_image(int pid)
    int kn_leader_state(int pid)


cpdef int pidfd_open(int pid) noexcept:
    return kn_pidfd_open(pid)

cpdef int exit_status(int fd, int pid) noexcept:
    return kn_exit_status(fd, pid)

cpdef int child_status(int pid) noexcept:
    return kn_child_status(pid)

cpdef int has_ended(int pid) noexcept:
    return kn_has_ended(pid)

cpdef int pidfd_state(int fd) noexcept:
    return kn_pidfd_poll(fd)

cpdef int pidfd_pid(int fd) noexcept:
    return kn_pidfd_pid(fd)

cpdef long long image(int pid) noexcept:
    return kn_image(pid)

cpdef int leader_state(int pid) noexcept:
    return kn_leader_state(pid)
