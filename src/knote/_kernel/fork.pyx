"""How often this process image has been forked off.  See kn_fork.h."""

cdef extern from "kn_fork.h" nogil:
    int kn_fork_watch()
    unsigned int kn_fork_count()

kn_fork_watch()


cpdef unsigned int fork_count() noexcept:
    return kn_fork_count()
