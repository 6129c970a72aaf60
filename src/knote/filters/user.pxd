from knote.filters.base cimport Filter
from knote.knote cimport Knote
from knote.ready cimport ReadyList

cdef unsigned int ACTIVE, SOFT, EV_CLEAR, NOTE_TRIGGER, NOTE_FFCTRLMASK, NOTE_FFLAGSMASK
cdef unsigned int NOTE_FFAND, NOTE_FFOR, NOTE_FFCOPY


cdef class User(Filter):
    cdef ReadyList _ready
    cpdef int attach(self, Knote kn) except -1
    cpdef int touch(self, Knote kn, unsigned int flags, unsigned int fflags, long long data) except -1
    cpdef int event(self, Knote kn, unsigned int hint) except -2
