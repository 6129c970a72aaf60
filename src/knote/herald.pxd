cimport cython

from knote.knote cimport Knote
from knote.ready cimport ReadyList
from knote.source cimport Source

cdef unsigned int ACTIVE, DISABLED, SOFT, EV_EOF, EV_ONESHOT
cdef unsigned int NOTE_ATTRIB, NOTE_EXTEND, NOTE_REVOKE, NOTE_TRUNCATE, NOTE_WRITE
cdef int EVFILT_VNODE

@cython.locals(got=cython.uint)
cdef bint _record(Knote kn, unsigned int notes) noexcept


cdef class Herald:
    cdef ReadyList _ready
    cdef ReadyList _resting
    @cython.locals(kn=Knote)
    cdef ask(self, Source source)
    @cython.locals(kn=Knote, vnode=Knote)
    cdef tell(self, Source source, unsigned int notes, bint grown)
    cdef _wake(self, Knote kn, unsigned int notes, bint grown)
