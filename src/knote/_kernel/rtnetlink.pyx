"""rtnetlink(7), thin.  See kn_rtnetlink.h."""

from libc.stdlib cimport free, malloc
from posix.unistd cimport close as c_close


cdef extern from "kn_rtnetlink.h" nogil:
    int KN_RTNETLINK_ROOM
    int KN_LINK_IS
    int KN_LINK_GONE
    int KN_LINK_LISTED
    int KN_LINK_REFUSED
    struct kn_link:
        int kind
        int index
        unsigned int flags
        unsigned int value
    int kn_rtnetlink_open()
    int kn_rtnetlink_ask(int fd, int index)
    int kn_rtnetlink_read(int fd, char *buffer, kn_link *links, int cap)

LINK_IS = KN_LINK_IS
LINK_GONE = KN_LINK_GONE
LINK_LISTED = KN_LINK_LISTED
LINK_REFUSED = KN_LINK_REFUSED
# The smallest message is 16 bytes, so no read gives more.
cdef int _CAPACITY = KN_RTNETLINK_ROOM // 16


cdef class Links:
    def __cinit__(self):
        self.fd = -1
        self._buffer = <char *>malloc(KN_RTNETLINK_ROOM)
        self._links = malloc(_CAPACITY * sizeof(kn_link))
        if self._buffer == NULL or self._links == NULL:
            raise MemoryError
        self.fd = kn_rtnetlink_open()

    def __dealloc__(self):
        free(self._buffer)
        free(self._links)

    cpdef int ask(self, int index) noexcept:
        return kn_rtnetlink_ask(self.fd, index)

    cpdef int read(self) noexcept:
        return kn_rtnetlink_read(self.fd, self._buffer, <kn_link *>self._links, _CAPACITY)

    cpdef int kind(self, int i) noexcept:
        return (<kn_link *>self._links)[i].kind

    cpdef int index(self, int i) noexcept:
        return (<kn_link *>self._links)[i].index

    cpdef unsigned int flags(self, int i) noexcept:
        return (<kn_link *>self._links)[i].flags

    cpdef unsigned int value(self, int i) noexcept:
        return (<kn_link *>self._links)[i].value

    cpdef void close(self) noexcept:
        if self.fd >= 0:
            c_close(self.fd)
            self.fd = -1
