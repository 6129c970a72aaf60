cpdef bint keep(object of)
cpdef list more(object of, list some, Py_ssize_t count)
cpdef void follow(object one) noexcept
cpdef int count()
