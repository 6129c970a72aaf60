"""select(2), thin.  See kn_select.h."""

from knote._kernel.watchset cimport WatchSet, kn_watchset_open, pollfd, timespec


cdef extern from "kn_select.h" nogil:
    int kn_select_sleep(pollfd *fds, int n, const timespec *timeout)
    int FD_SETSIZE

SETSIZE = FD_SETSIZE


cdef class Select(WatchSet):
    def __cinit__(self):
        self.wake = kn_watchset_open(&self._set, kn_select_sleep)
