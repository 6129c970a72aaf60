# cython: annotation_typing=False
"""EVFILT_LIO: all requests of a list are over.  See lio_listio(2) on FreeBSD; spec S-167."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote.constants import EV_ONESHOT, EVFILT_LIO
from knote.filters.base import Filter
from knote.knote import ACTIVE, DISABLED

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote
    from knote.listio import Listio
    from knote.request import Request

_EIO = errno.EIO
_EPERM = errno.EPERM


class Lio(Filter):
    """Ident is the list's, a number of the queue's own; lists come in by start(), not by changes."""

    __slots__ = ("_lists", "_ready", "_serial", "_shed")

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_LIO
        self.forced = EV_ONESHOT
        self._ready = host.ready
        self._shed = host.shed
        self._lists: dict[int, Listio] = {}
        self._serial = 0

    def number(self) -> int:
        """The next list's ident."""
        self._serial += 1
        return self._serial

    def start(self, listio: Listio, kn: Knote) -> None:
        """kn tells when all of the list's requests, which are started after this, are over."""
        listio.ident = kn.ident
        listio.knote = kn
        self._lists[kn.ident] = listio
        if listio.pending == 0:
            self._finish(listio)

    def count(self, request: Request) -> None:
        """One of a list's requests is over."""
        listio = request.group
        if listio is not None:
            self._shed.append(listio)
            request.group = None
            listio.pending -= 1
            if request.value < 0:
                listio.failed += 1
            if listio.pending == 0:
                self._finish(listio)

    def _finish(self, listio: Listio) -> None:
        kn = listio.knote
        if kn is not None:
            kn.status |= ACTIVE
            if not kn.status & DISABLED:
                self._ready.append(kn)

    def attach(self, kn: Knote) -> int:
        """Filter.attach(): EPERM, for all that are not the facility's own."""
        return _EPERM

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event(): data is how many ended well; EIO in fflags if not all did, as lio_listio(2) says."""
        if not kn.status & ACTIVE:
            return 0
        listio = self._lists[kn.ident]
        kn.data = len(listio.requests) - listio.failed
        kn.fflags = _EIO if listio.failed else 0
        return 1

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        listio = self._lists.pop(kn.ident, None)
        if listio is not None:
            listio.knote = None
            self._shed.append(listio)
