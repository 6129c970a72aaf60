cimport cython

cdef extern from "kn_lock.h" nogil:
    struct kn_lock:
        pass
    int kn_lock_try(kn_lock *l)
    void kn_lock_wait(kn_lock *l)
    void kn_lock_release(kn_lock *l)


@cython.final
cdef class Lock:
    cdef kn_lock _lock
    cpdef object guard(self)
    cpdef bint acquire(self) noexcept
    cpdef void release(self) noexcept
    cpdef void amend(self, object guard) noexcept
