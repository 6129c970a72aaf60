# cython: annotation_typing=False
"""EVFILT_EXCEPT: something exceptional; on a socket, out-of-band data.  See kqueue(2) on macOS; spec S-162."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote import process
from knote._kernel.fd import is_path, poll, readable, same
from knote.constants import EVFILT_EXCEPT, NOTE_OOB
from knote.filters.base import Filter
from knote.masks import NVAL, PRI
from knote.source import KIND_SEQPACKET, KIND_TCP

if TYPE_CHECKING:
    from knote.knote import Knote


class Except(Filter):
    """True from the urgent byte's arrival until it is read or passed (S-163); data counts what is before it."""

    __slots__ = ()

    def __init__(self) -> None:
        super().__init__()
        self.id = EVFILT_EXCEPT
        self.is_fd = True
        self.wants = PRI

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        source = kn.source
        assert source is not None
        if is_path(source.fd, source.kind):
            return errno.EBADF
        return errno.EINVAL if process.find(source.fd) is not None else 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        source = kn.source
        assert source is not None
        if source.soft:
            # What no engine watches has nothing exceptional.
            return 0 if same(source.fd, source.identity) else -1
        if not hint:
            hint = poll(source.fd, PRI)
            if hint & NVAL:
                return -1
        if not hint & PRI:
            return 0
        kn.data = 0
        kn.fflags = 0
        if KIND_TCP <= source.kind <= KIND_SEQPACKET:
            kn.data = max(readable(source.fd), 0)
            kn.fflags = NOTE_OOB
        kn.shown = 0
        return 1
