"""inotify(7) through ctypes; the compiled twin is inotify.pyx over kn_inotify.h."""

from __future__ import annotations

import ctypes
import os
import struct

from knote._kernel._libc import function

_ROOM = 65536
_HEAD = struct.Struct("iIII")
_LARGEST = _HEAD.size + 256
_create = function("inotify_init1", ctypes.c_int)
_add = function("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_remove = function("inotify_rm_watch", ctypes.c_int, ctypes.c_int)


class Inotify:
    """One inotify instance; every call gives n or -errno.  After next(), wd, mask, cookie and named are those of
    one event: its watch (-1 of an overflow), what happened (IN_*), what ties the halves of a rename together,
    and whether it happened to an entry of the watched directory."""

    def __init__(self) -> None:
        self.wd = -1
        self.mask = 0
        self.cookie = 0
        self.named = False
        self.more = False
        """The last read may have left events."""
        self._data = b""
        self._at = 0
        self.fd = _create(os.O_CLOEXEC | os.O_NONBLOCK)

    def add(self, fd: int, mask: int, parent: bool = False) -> int:
        """Watch the file behind fd, or the directory that holds that directory; the watch's number.  One inode has
        one watch, whose mask is replaced unless IN_MASK_ADD is set (S-422, S-424)."""
        return _add(self.fd, b"/proc/self/fd/%d%s" % (fd, b"/.." if parent else b""), mask)

    def remove(self, wd: int) -> int:
        """inotify_rm_watch(2)."""
        return _remove(self.fd, wd)

    def read(self) -> int:
        """Take what there is, as far as it fits: how many bytes, 0 when nothing is left."""
        self._data = b""
        self._at = 0
        self.more = False
        try:
            self._data = os.read(self.fd, _ROOM)
        except BlockingIOError:
            return 0
        except OSError as error:
            return -(error.errno or 0)
        self.more = len(self._data) > _ROOM - _LARGEST
        return len(self._data)

    def next(self) -> bool:
        """Go to the next event of those that were read; False when there is none."""
        if self._at >= len(self._data):
            return False
        self.wd, self.mask, self.cookie, length = _HEAD.unpack_from(self._data, self._at)
        self.named = length > 0
        self._at += _HEAD.size + length
        return True

    def close(self) -> None:
        """close(2); idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
