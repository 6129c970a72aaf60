# cython: annotation_typing=False
"""EVFILT_PROCDESC: the process behind a descriptor ends.  See kqueue(2) on FreeBSD; spec S-220 ... S-222."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote._kernel.pidfd import exit_status, pidfd_pid, pidfd_state
from knote.constants import (
    EV_CLEAR,
    EV_EOF,
    EV_ONESHOT,
    EVFILT_PROCDESC,
    NOTE_EXEC,
    NOTE_EXIT,
    NOTE_FORK,
    NOTE_SIGNAL,
    NOTE_TRACK,
)
from knote.filters.base import DROP, IS_ACTIVE, NOT_ACTIVE, Filter
from knote.masks import IN

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote

# FreeBSD takes them and never tells of them; a program that waits for one is better told at once (S-455).
_NOT_TOLD = NOTE_FORK | NOTE_EXEC | NOTE_TRACK | NOTE_SIGNAL
_EAGAIN = errno.EAGAIN
_EBADF = errno.EBADF
_EINVAL = errno.EINVAL
_EOPNOTSUPP = errno.EOPNOTSUPP


class ProcDesc(Filter):
    """A pidfd is Linux' process descriptor, and stays the program's: it is watched as any descriptor is."""

    __slots__ = ("_ready",)

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_PROCDESC
        self.is_fd = True
        self.wants = IN
        self.forced = EV_CLEAR
        self._ready = host.ready

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        if exit_status(kn.ident, 0) == -_EBADF:
            return _EINVAL
        return _EOPNOTSUPP if kn.sfflags & _NOT_TOLD else 0

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch()."""
        if fflags & _NOT_TOLD:
            return _EOPNOTSUPP
        kn.sfflags = fflags
        kn.sdata = data
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        kn.shown = 0
        kn.data = 0
        kn.fflags = 0
        fd = kn.ident
        status = exit_status(fd, pidfd_pid(fd))
        if status == -_EAGAIN:
            if pidfd_state(fd) & IN:
                # It is being let go of at this moment, and the edge was this one: ask again.
                self._ready.append(kn)
            return NOT_ACTIVE
        if not kn.sfflags & NOTE_EXIT:
            return DROP
        kn.fflags = NOTE_EXIT
        kn.data = status if status >= 0 else -1
        kn.shown = EV_EOF
        kn.flags |= EV_ONESHOT
        return IS_ACTIVE
