cimport cython

from knote.filters.base cimport Filter
from knote.source cimport Source


@cython.final
cdef class Knote:
    cdef unsigned long long ident
    cdef int filter
    cdef unsigned int flags
    cdef unsigned int status
    cdef unsigned int wants
    cdef unsigned int sfflags
    cdef long long sdata
    cdef unsigned int fflags
    cdef long long data
    cdef unsigned int shown
    cdef object udata
    cdef Filter filt
    cdef Source source
    cdef Knote sibling
    cdef Knote ahead
    cdef Knote behind
    cdef int home
    cdef long long due
    cdef long long period
    cdef unsigned long long hits
    cdef unsigned int hint
    cdef unsigned long long born
    cdef unsigned long long served

    cpdef void begin(self, unsigned long long ident, Filter filt, unsigned int flags, unsigned int sfflags,
                     long long sdata, object udata) noexcept
