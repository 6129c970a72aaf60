# cython: annotation_typing=False
"""EVFILT_VNODE: a file or directory changes, whoever changes it.  See kqueue(2) on FreeBSD; spec 2.9, 6.4.

What happens is recorded where inotify is read (filewatch.py), while the knote is disabled, too; here is only what
a knote asks for, and whether anything was recorded.
"""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote._kernel.fd import same
from knote.constants import EVFILT_VNODE
from knote.filters.base import Filter
from knote.knote import ACTIVE, SOFT
from knote.source import KIND_PIPE

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote

_EINVAL = errno.EINVAL


class Vnode(Filter):
    """fflags are the notes that were asked for and have happened since they were last returned; data is 0."""

    __slots__ = ("_files",)

    def __init__(self, host: Host) -> None:
        super().__init__()
        self._files = host.files
        self.id = EVFILT_VNODE
        self.is_fd = True

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        source = kn.source
        assert source is not None
        self._files.noting += 1
        # inotify would take a pipe; FreeBSD does not (S-441, trace ss_vnode_filter).
        return _EINVAL if source.kind == KIND_PIPE else self._files.note(kn, kn.sfflags)

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch(): what was recorded stays (S-178)."""
        source = kn.source
        assert source is not None
        rc = self._files.note(kn, fflags)
        if rc == 0:
            kn.sfflags = fflags
            kn.sdata = data
        self._files.narrow(source)
        return rc

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        source = kn.source
        assert source is not None
        kn.data = 0
        if not kn.status & ACTIVE and self._files.rests(source):
            self._files.look(source)
        elif not kn.status & ACTIVE:
            kn.status &= ~SOFT  # it need not be asked: inotify tells
        if kn.status & ACTIVE and not source.soft:
            return 1  # whose number it is, is asked before it is returned
        if not same(source.fd, source.identity):
            return -1
        if kn.status & ACTIVE:
            return 1
        kn.fflags = 0
        return 0

    def detach(self, kn: Knote) -> None:
        """Filter.detach(): the watch is narrowed, or goes, with the knote's place on its descriptor."""
        self._files.noting -= 1
