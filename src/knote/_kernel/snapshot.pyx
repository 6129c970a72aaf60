"""What a file was when it was last looked at.  See kn_snapshot.h."""

from posix.stat cimport S_IFDIR, S_IFREG


cdef extern from "kn_snapshot.h" nogil:
    int KN_GREW, KN_SHRANK, KN_EMPTY, KN_TOUCHED, KN_LINKED, KN_UNLINKED, KN_NAMELESS, KN_OWNED, KN_CHANGED
    int KN_UNSURE, KN_LATER
    int KN_CONTENTS, KN_ATTRIBUTES
    int kn_snapshot_is(const kn_snapshot *s, unsigned int type)
    int kn_snapshot_take(kn_snapshot *s, int fd)
    int kn_snapshot_compare(kn_snapshot *s, int fd, int parts)

GREW = KN_GREW
SHRANK = KN_SHRANK
EMPTY = KN_EMPTY
TOUCHED = KN_TOUCHED
LINKED = KN_LINKED
UNLINKED = KN_UNLINKED
NAMELESS = KN_NAMELESS
OWNED = KN_OWNED
CHANGED = KN_CHANGED
UNSURE = KN_UNSURE
LATER = KN_LATER
CONTENTS = KN_CONTENTS
ATTRIBUTES = KN_ATTRIBUTES


cdef class Snapshot:
    cpdef int take(self, int fd) noexcept:
        cdef int rc = kn_snapshot_take(&self._taken, fd)
        if rc == 0:
            self.regular = kn_snapshot_is(&self._taken, S_IFREG)
            self.directory = kn_snapshot_is(&self._taken, S_IFDIR)
        return rc

    cpdef int compare(self, int fd, int parts) noexcept:
        return kn_snapshot_compare(&self._taken, fd, parts)
