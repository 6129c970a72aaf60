cimport cython

from knote._kernel.inotify cimport Inotify
from knote.drain cimport Drain
from knote.knote cimport Knote
from knote.ready cimport ReadyList
from knote.source cimport Source

cdef unsigned int IN_MODIFY, IN_Q_OVERFLOW, SOFT, DISABLED


cdef class FileWatch(Drain):
    cdef ReadyList _ready
    cdef ReadyList _resting
    cdef object _own
    cdef Inotify _inotify
    cdef dict _watched
    @cython.locals(inotify=Inotify)
    cpdef int watch(self, Source source) except -1
    cpdef forget(self, Source source)
    @cython.locals(source=Source, kn=Knote)
    cdef _changed(self, list sources)
    cpdef drain(self, int number)
    cpdef close(self)
