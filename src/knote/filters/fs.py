# cython: annotation_typing=False
"""EVFILT_FS: filesystems are mounted and unmounted.  See sys/mount.h on FreeBSD; spec S-168, S-472."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote._kernel.fd import poll
from knote._kernel.procfile import contents, open_file
from knote._kernel.time import close_fd
from knote.constants import (
    EV_CLEAR,
    EVFILT_FS,
    VQ_DEAD,
    VQ_LOWDISK,
    VQ_MOUNT,
    VQ_NEEDAUTH,
    VQ_NOTRESP,
    VQ_UNMOUNT,
    VQ_UPDATE,
)
from knote.filters.base import Filter
from knote.knote import ACTIVE, DISABLED, SOFT
from knote.masks import PRI

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote

_EINVAL = errno.EINVAL
_EIO = errno.EIO
_EOPNOTSUPP = errno.EOPNOTSUPP
_KNOWN = VQ_MOUNT | VQ_UNMOUNT | VQ_UPDATE
_UNTOLD = VQ_NOTRESP | VQ_NEEDAUTH | VQ_LOWDISK | VQ_DEAD
_TABLE = b"/proc/self/mountinfo"
# How often a table that changes while it is read is read again; whoever goes on mounting wakes us again.
_TRIES = 8


class Fs(Filter):
    """The mount table of the namespace that the process was in when the first knote was added, compared with what
    it was: the kernel tells only that it changed.

    What it does not tell at all: poll(2) says so once to whoever asks first, also through the queue's descriptor,
    so it is the wake-up that counts, and the table that decides.  A mount that came and went between two looks
    leaves no trace (differences.md).
    """

    __slots__ = ("_fd", "_host", "_knotes", "_mounts")

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_FS
        self.forced = EV_CLEAR
        self._host = host
        self._fd = -1
        self._knotes: list[Knote] = []
        self._mounts: dict[bytes, bytes] = {}
        """What makes each mount itself, and the options that a remount changes."""

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        rc = self._refuse(kn.sfflags)
        if rc:
            return rc
        if self._fd < 0:
            rc = self._open()
            if rc:
                return rc
        else:
            # What happened before it was added is not its news.
            self._look()
        kn.status |= SOFT
        self._knotes.append(kn)
        return 0

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch()."""
        rc = self._refuse(fflags)
        if rc:
            return rc
        kn.sfflags = fflags
        kn.sdata = data
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        return 1 if kn.status & ACTIVE else 0

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        if kn in self._knotes:
            self._knotes.remove(kn)
            if not self._knotes and self._fd >= 0:
                self._host.disown(self._fd)
                self.close()

    def drain(self, number: int) -> None:
        """Drain.drain()."""
        if self._fd >= 0:
            self._look()

    def close(self) -> None:
        """Filter.close()."""
        if self._fd >= 0:
            close_fd(self._fd)
            self._fd = -1
            self._mounts = {}

    def _refuse(self, notes: int) -> int:
        if notes & ~(_KNOWN | _UNTOLD):
            return _EINVAL
        return _EOPNOTSUPP if notes & _UNTOLD else 0

    def _open(self) -> int:
        fd = open_file(_TABLE, False)
        if fd < 0:
            return -fd
        # By edge: the file is always readable, and POLLPRI is gone once anybody has seen it.
        rc = self._host.own(fd, self, True)
        if rc < 0:
            close_fd(fd)
            return -rc
        self._fd = fd
        self._mounts = self._read()
        if not self._mounts:
            # All that is mounted would seem to have come by the next look.
            self._host.disown(fd)
            self.close()
            return _EIO
        return 0

    def _read(self) -> dict[bytes, bytes]:
        mounts: dict[bytes, bytes] = {}
        for _ in range(_TRIES):
            poll(self._fd, PRI)  # from here on it tells of a change that the reading may have missed
            text = contents(self._fd)
            if not text:
                return self._mounts  # it cannot be read: nothing is known to have changed
            mounts = {}
            for line in text.splitlines():
                head, _, tail = line.partition(b" - ")
                # id parent major:minor root mountpoint options [propagation ...] - type source options
                fields = head.split(b" ")
                last = tail.split(b" ")
                mounts[b" ".join(fields[:5] + last[:2])] = b" ".join(fields[5:6] + last[2:])
            if not poll(self._fd, PRI) & PRI:
                break
        return mounts

    def _look(self) -> None:
        before = self._mounts
        now = self._read()
        self._mounts = now
        happened = 0
        for mount, options in now.items():
            old = before.get(mount)
            if old is None:
                happened |= VQ_MOUNT
            elif old != options:
                happened |= VQ_UPDATE
        for mount in before:
            if mount not in now:
                happened |= VQ_UNMOUNT
                break
        if not happened:
            return
        for kn in self._knotes:
            # None asked for are all, as on macOS.
            notes = happened & (kn.sfflags or _KNOWN)
            if not notes:
                continue
            if not kn.status & ACTIVE:
                kn.fflags = 0
            kn.fflags |= notes
            kn.status |= ACTIVE
            if not kn.status & DISABLED:
                self._host.ready.append(kn)
