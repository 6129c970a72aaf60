"""The lock of a kqueue: a futex that knows its owner.  See kn_lock.h."""


cdef class Lock:
    cpdef object guard(self):
        return None  # Python's signal handlers run here where they are let, and never while it is held.

    cpdef bint acquire(self) noexcept:
        cdef int got = kn_lock_try(&self._lock)
        if got > 0:
            return True
        if got < 0:
            return False
        with nogil:
            kn_lock_wait(&self._lock)
        return True

    cpdef void release(self) noexcept:
        kn_lock_release(&self._lock)

    cpdef void amend(self, object guard) noexcept:
        pass
