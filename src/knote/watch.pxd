cimport cython

from knote._kernel.snapshot cimport Snapshot
from knote.knote cimport Knote
from knote.source cimport Source

cdef unsigned int CHANGED, EMPTY, GREW, LATER, LINKED, NAMELESS, OWNED, SHRANK, TOUCHED, UNLINKED, UNSURE
cdef unsigned int NOTE_ATTRIB, NOTE_CLOSE, NOTE_CLOSE_WRITE, NOTE_DELETE, NOTE_EXTEND, NOTE_LINK, NOTE_OPEN, NOTE_READ
cdef unsigned int NOTE_RENAME, NOTE_REVOKE, NOTE_TRUNCATE, NOTE_WRITE, DEAD
cdef unsigned int IN_ACCESS, IN_ATTRIB, IN_CLOSE_NOWRITE, IN_CLOSE_WRITE, IN_CREATE, IN_DELETE, IN_DELETE_SELF
cdef unsigned int IN_ISDIR, IN_MODIFY, IN_MOVED_FROM, IN_MOVED_TO, IN_MOVE_SELF, IN_OPEN, IN_UNMOUNT
cdef int EVFILT_VNODE, KIND_FILE
cdef unsigned int _ENTRIES, _PASSING, _CONTENTS


@cython.final
cdef class Watch:
    cdef int wd
    cdef unsigned int mask
    cdef list sources
    cdef Snapshot state
    cdef Watch parent
    cdef list children
    cdef bint unseen
    cdef bint doubtful
    cdef bint touched
    cdef unsigned int seen
    cdef unsigned int notes
    cdef int modified
    cdef bint closed
    cpdef reset(self)
    @cython.locals(mask=cython.uint, state=Snapshot)
    cpdef unsigned int mask_of(self, unsigned int notes) noexcept
    @cython.locals(notes=cython.uint, source=Source, kn=Knote)
    cpdef unsigned int wanted(self) noexcept
    @cython.locals(mask=cython.uint)
    cpdef unsigned int needed(self) noexcept
    @cython.locals(source=Source, kn=Knote)
    cdef bint _others(self) noexcept
    cpdef take(self, unsigned int mask, bint named)
    cpdef bint goes_after(self, unsigned int mask, bint named) noexcept
    @cython.locals(seen=cython.uint, notes=cython.uint, state=Snapshot)
    cpdef unsigned int judge(self, unsigned int found) noexcept
    @cython.locals(notes=cython.uint, state=Snapshot)
    cdef unsigned int _attributes(self, unsigned int found) noexcept
    cdef unsigned int _entries(self, unsigned int found) noexcept
    @cython.locals(notes=cython.uint)
    cdef unsigned int _contents(self, unsigned int found) noexcept
    @cython.locals(notes=cython.uint, state=Snapshot)
    cpdef unsigned int guess(self, unsigned int found, bint lost) noexcept
