"""inotify(7), thin.  See kn_inotify.h."""

from libc.stdlib cimport free, malloc
from posix.unistd cimport close as c_close


cdef extern from "kn_inotify.h" nogil:
    int KN_INOTIFY_ROOM
    int KN_INOTIFY_LARGEST
    struct inotify_event:
        int wd
        unsigned int mask
        unsigned int cookie
        unsigned int len
    int kn_inotify_create()
    int kn_inotify_add(int queue, int fd, int parent, unsigned int mask)
    int kn_inotify_remove(int queue, int wd)
    int kn_inotify_read(int queue, char *buffer)
    int kn_inotify_event(const char *buffer, int at, inotify_event *event)


cdef class Inotify:
    def __cinit__(self):
        self.fd = -1
        self._buffer = <char *>malloc(KN_INOTIFY_ROOM)
        if self._buffer == NULL:
            raise MemoryError
        self.fd = kn_inotify_create()

    def __dealloc__(self):
        free(self._buffer)

    cpdef int add(self, int fd, unsigned int mask, bint parent=False) noexcept:
        return kn_inotify_add(self.fd, fd, parent, mask)

    cpdef int remove(self, int wd) noexcept:
        return kn_inotify_remove(self.fd, wd)

    cpdef int read(self) noexcept:
        cdef int n = kn_inotify_read(self.fd, self._buffer)
        self._at = 0
        self._filled = n if n > 0 else 0
        self.more = n > KN_INOTIFY_ROOM - KN_INOTIFY_LARGEST
        return n

    cpdef bint next(self) noexcept:
        cdef inotify_event event
        if self._at >= self._filled:
            return False
        self._at = kn_inotify_event(self._buffer, self._at, &event)
        self.wd = event.wd
        self.mask = event.mask
        self.cookie = event.cookie
        self.named = event.len > 0
        return True

    cpdef void close(self) noexcept:
        if self.fd >= 0:
            c_close(self.fd)
            self.fd = -1
