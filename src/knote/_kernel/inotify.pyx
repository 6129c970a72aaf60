"""inotify(7), thin.  See kn_inotify.h."""

from libc.errno cimport errno
from libc.stdlib cimport free, malloc
from posix.unistd cimport close as c_close


cdef extern from "kn_inotify.h" nogil:
    int KN_INOTIFY_ROOM
    struct kn_file_event:
        int wd
        unsigned int mask
        int named
    int kn_inotify_create()
    int kn_inotify_add(int queue, int fd, unsigned int mask)
    int kn_inotify_read(int queue, char *buffer, kn_file_event *events, int cap)
    int inotify_rm_watch(int fd, int wd)

# The smallest event is 16 bytes, so no read gives more.
cdef int _CAPACITY = KN_INOTIFY_ROOM // 16


cdef class Inotify:
    def __cinit__(self):
        self.fd = -1
        self._buffer = <char *>malloc(KN_INOTIFY_ROOM)
        self._events = malloc(_CAPACITY * sizeof(kn_file_event))
        if self._buffer == NULL or self._events == NULL:
            raise MemoryError
        self.fd = kn_inotify_create()

    def __dealloc__(self):
        free(self._buffer)
        free(self._events)

    cpdef int add(self, int fd, unsigned int mask) noexcept:
        return kn_inotify_add(self.fd, fd, mask)

    cpdef int remove(self, int wd) noexcept:
        return -errno if inotify_rm_watch(self.fd, wd) < 0 else 0

    cpdef int read(self) noexcept:
        return kn_inotify_read(self.fd, self._buffer, <kn_file_event *>self._events, _CAPACITY)

    cpdef int wd(self, int i) noexcept:
        return (<kn_file_event *>self._events)[i].wd

    cpdef unsigned int mask(self, int i) noexcept:
        return (<kn_file_event *>self._events)[i].mask

    cpdef bint named(self, int i) noexcept:
        return (<kn_file_event *>self._events)[i].named

    cpdef void close(self) noexcept:
        if self.fd >= 0:
            c_close(self.fd)
            self.fd = -1
