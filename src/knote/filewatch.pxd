cimport cython

from knote._kernel.fd cimport same
from knote._kernel.inotify cimport Inotify
from knote._kernel.snapshot cimport Snapshot
from knote.drain cimport Drain
from knote.herald cimport Herald
from knote.knote cimport Knote
from knote.ready cimport ReadyList
from knote.source cimport Source
from knote.watch cimport Watch

cdef unsigned int IN_ATTRIB, IN_DELETE, IN_IGNORED, IN_ISDIR, IN_MASK_ADD, IN_MODIFY, IN_MOVE_SELF, IN_MOVED_FROM
cdef unsigned int IN_MOVED_TO, IN_Q_OVERFLOW, IN_UNMOUNT, DISABLED, SOFT
cdef unsigned int NOTE_DELETE, NOTE_EXTEND, NOTE_LINK, NOTE_WRITE
cdef int ATTRIBUTES, CONTENTS, GREW, NAMELESS, UNLINKED, EVFILT_VNODE, _EACCES, _EBADF, _ENOENT, _ESTALE, _EVERYTHING, _MOST


cdef class FileWatch(Drain):
    cdef ReadyList _ready
    cdef Herald _herald
    cdef object _own
    cdef Inotify _inotify
    cdef dict _watches
    cdef list _touched
    cdef dict _moves
    cdef bint _lost
    cdef bint _draining
    cdef Py_ssize_t noting
    @cython.locals(inotify=Inotify, rc=cython.int)
    cdef int _open(self) except -1
    @cython.locals(watch=Watch, rc=cython.int)
    cpdef int watch(self, Source source) except -1
    @cython.locals(source=Source, state=Snapshot, watch=Watch, probe=Watch, rc=cython.int, mask=cython.uint)
    cpdef int note(self, Knote kn, unsigned int notes) except -1
    @cython.locals(inotify=Inotify, watch=Watch, wd=cython.int)
    cdef int _widen(self, Source source, unsigned int mask, Snapshot state) except -1
    @cython.locals(watch=Watch, other=Source, mask=cython.uint, wd=cython.int)
    cpdef narrow(self, Source source)
    @cython.locals(watch=Watch)
    cpdef forget(self, Source source)
    cdef _drop(self, Watch watch)
    @cython.locals(inotify=Inotify, parent=Watch, wd=cython.int)
    cdef int _adopt(self, Watch watch, Source source) except -1
    @cython.locals(source=Source, kn=Knote)
    cdef _unseen(self, Watch watch)
    @cython.locals(parent=Watch)
    cdef _leave(self, Watch watch)
    @cython.locals(watch=Watch)
    cpdef bint rests(self, Source source) noexcept
    @cython.locals(watch=Watch)
    cpdef look(self, Source source)
    @cython.locals(inotify=Inotify, left=cython.int, more=cython.bint)
    cpdef drain(self, int number)
    @cython.locals(watch=Watch, last=Watch, n=cython.Py_ssize_t)
    cdef _take(self, int wd, unsigned int mask, unsigned int cookie, bint named)
    cdef _moved(self, Watch watch, unsigned int mask, unsigned int cookie)
    cdef _crossed(self, Watch watch, unsigned int mask)
    @cython.locals(child=Watch)
    cdef _ended(self, Watch watch)
    @cython.locals(watch=Watch, mask=cython.uint, touched=list)
    cdef _settle(self)
    @cython.locals(state=Snapshot, owner=Source, source=Source, child=Watch, notes=cython.uint, parts=cython.int,
                   found=cython.int, grown=cython.bint, ended=cython.bint)
    cdef _judge(self, Watch watch)
    @cython.locals(inotify=Inotify, source=Source, other=Source, wd=cython.int)
    cdef bint _again(self, Watch watch) except -1
    @cython.locals(state=Snapshot, owner=Source, source=Source, found=cython.int)
    cdef _removed(self, Watch watch)
    cpdef close(self)
