cpdef int trim() noexcept
