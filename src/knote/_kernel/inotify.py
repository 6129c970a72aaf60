"""inotify(7) through ctypes; the compiled twin is inotify.pyx over kn_inotify.h."""

from __future__ import annotations

import ctypes
import os
import struct

from knote._kernel._libc import function

_ROOM = 16384
_IN_MASK_ADD = 0x20000000
_HEAD = struct.Struct("iIII")
_create = function("inotify_init1", ctypes.c_int)
_add = function("inotify_add_watch", ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)
_remove = function("inotify_rm_watch", ctypes.c_int, ctypes.c_int)


class Inotify:
    """One inotify instance; every call gives n or -errno."""

    def __init__(self) -> None:
        self.fd = _create(os.O_CLOEXEC | os.O_NONBLOCK)
        self._events: list[tuple[int, int, bool]] = []

    def add(self, fd: int, mask: int) -> int:
        """Watch the file behind fd; the mask is added to what is there (S-422, S-424).  The watch's number."""
        return _add(self.fd, b"/proc/self/fd/%d" % fd, mask | _IN_MASK_ADD)

    def remove(self, wd: int) -> int:
        """inotify_rm_watch(2)."""
        return _remove(self.fd, wd)

    def read(self) -> int:
        """Take what there is; how many events, 0 when nothing is left."""
        self._events = []
        try:
            data = os.read(self.fd, _ROOM)
        except BlockingIOError:
            return 0
        except OSError as error:
            return -(error.errno or 0)
        at = 0
        while at + _HEAD.size <= len(data):
            wd, mask, _, length = _HEAD.unpack_from(data, at)
            self._events.append((wd, mask, length > 0))
            at += _HEAD.size + length
        return len(self._events)

    def wd(self, i: int) -> int:
        """The watch of the i-th event; -1 for an overflow."""
        return self._events[i][0]

    def mask(self, i: int) -> int:
        """What happened, IN_*."""
        return self._events[i][1]

    def named(self, i: int) -> bool:
        """It happened to an entry of the watched directory."""
        return self._events[i][2]

    def close(self) -> None:
        """close(2); idempotent."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
