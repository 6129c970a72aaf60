"""poll(2), thin.  See kn_poll.h."""

from knote._kernel.watchset cimport WatchSet, kn_watchset_open, pollfd, timespec


cdef extern from "kn_poll.h" nogil:
    int kn_poll_sleep(pollfd *fds, int n, const timespec *timeout)


cdef class Poll(WatchSet):
    def __cinit__(self):
        self.wake = kn_watchset_open(&self._set, kn_poll_sleep)
