cpdef unsigned int fork_count() noexcept
