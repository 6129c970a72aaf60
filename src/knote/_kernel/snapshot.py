"""What a file was when it was last looked at, and what is different now.  The compiled twin is snapshot.pyx over
kn_snapshot.h."""

from __future__ import annotations

import errno
import os
import stat
import time

GREW = 1
SHRANK = 2
EMPTY = 4
"""It holds nothing."""
TOUCHED = 8
"""Its mtime is another."""
LINKED = 16
UNLINKED = 32
NAMELESS = 64
"""No name is left."""
OWNED = 128
"""Mode or owner are others."""
CHANGED = 256
"""Its ctime is another."""
UNSURE = 512
"""Its ctime is the same, which proves nothing: it was looked at within the tick in which it last changed, and may
have changed again within that tick (git-update-index(1), "racy")."""
LATER = 1024
"""Its ctime is not its mtime: its contents were not what changed last."""

_CLOCK_REALTIME_COARSE = 5
CONTENTS = 1
ATTRIBUTES = 2


class Snapshot:
    """One file, remembered."""

    def __init__(self) -> None:
        self.regular = False
        self.directory = False
        self._which = (0, 0, 0)
        self._size = 0
        self._nlink = 0
        self._owned = (0, 0, 0)
        self._mtime = 0
        self._ctime = 0
        self._floor = 0
        """The clock of files, from before they were looked at."""

    def take(self, fd: int) -> int:
        """Remember it; 0 or -errno.  -EINVAL if it is nothing that a file system holds: a socket, an eventfd."""
        floor = time.clock_gettime_ns(_CLOCK_REALTIME_COARSE)
        try:
            st = os.fstat(fd)
        except OSError as error:
            return -(error.errno or 0)
        if not stat.S_IFMT(st.st_mode) or stat.S_ISSOCK(st.st_mode):
            return -errno.EINVAL
        self.regular = stat.S_ISREG(st.st_mode)
        self.directory = stat.S_ISDIR(st.st_mode)
        self._which = (st.st_dev, st.st_ino, stat.S_IFMT(st.st_mode))
        self._size = st.st_size
        self._nlink = st.st_nlink
        self._owned = (st.st_mode, st.st_uid, st.st_gid)
        self._mtime = st.st_mtime_ns
        self._ctime = st.st_ctime_ns
        self._floor = floor
        return 0

    def compare(self, fd: int, parts: int) -> int:
        """What is different from what is remembered, or -errno; -ESTALE when the number is another file's by now.
        Parts (CONTENTS, ATTRIBUTES) that are not asked for stay as they are remembered: their own events are
        still to come."""
        now = Snapshot()
        rc = now.take(fd)
        if rc < 0:
            return -errno.ESTALE if rc == -errno.EINVAL else rc
        if now._which != self._which:
            return -errno.ESTALE
        found = NAMELESS if now._nlink == 0 else 0
        if now._size == 0:
            found |= EMPTY
        if now._mtime != self._mtime:
            found |= TOUCHED
        if now._ctime != now._mtime:
            found |= LATER
        if now._ctime != self._ctime:
            found |= CHANGED
        elif self._ctime >= self._floor:
            found |= UNSURE
        if parts & CONTENTS:
            if now._size != self._size:
                found |= GREW if now._size > self._size else SHRANK
            self._size = now._size
        if parts & ATTRIBUTES:
            if now._nlink != self._nlink:
                found |= LINKED if now._nlink > self._nlink else UNLINKED
            if now._owned != self._owned:
                found |= OWNED
            self._nlink = now._nlink
            self._owned = now._owned
        self._mtime = now._mtime
        self._ctime = now._ctime
        self._floor = now._floor
        return found
