"""The process connector, thin.  See kn_connector.h."""

from libc.stdlib cimport free, malloc


cdef extern from "kn_connector.h" nogil:
    int KN_HEARD_MOST
    int KN_NAMED_MOST
    struct kn_heard:
        unsigned int what
        int pid
        int value
    int kn_connector_open()
    int kn_connector_tune(int fd, const int *pids, int count, int everything, int exits)
    int kn_connector_read(int fd, kn_heard *heard)
    void kn_connector_close(int fd, int stop)


cdef class Connector:
    def __cinit__(self):
        self.fd = -1
        self._heard = malloc(KN_HEARD_MOST * sizeof(kn_heard))
        if self._heard == NULL:
            raise MemoryError
        self.fd = kn_connector_open()

    def __dealloc__(self):
        free(self._heard)

    cpdef int tune(self, list pids, bint everything, bint exits) except -10000:
        cdef int[64] named
        cdef int count = 0
        for pid in pids[:KN_NAMED_MOST]:
            named[count] = pid
            count += 1
        return kn_connector_tune(self.fd, named, count, everything or len(pids) > KN_NAMED_MOST, exits)

    cpdef int read(self) noexcept:
        return kn_connector_read(self.fd, <kn_heard *>self._heard)

    cpdef unsigned int what(self, int i) noexcept:
        return (<kn_heard *>self._heard)[i].what

    cpdef int pid(self, int i) noexcept:
        return (<kn_heard *>self._heard)[i].pid

    cpdef int value(self, int i) noexcept:
        return (<kn_heard *>self._heard)[i].value

    cpdef void close(self, bint stop) noexcept:
        if self.fd >= 0:
            kn_connector_close(self.fd, stop)
            self.fd = -1
