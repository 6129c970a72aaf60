# cython: annotation_typing=False
"""EVFILT_NETDEV: a network interface comes up, goes down, is gone.  See kqueue(2) of FreeBSD 5 to 9, which knew it
by a descriptor of /dev/net; on Linux ident is the interface's index."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote._kernel.rtnetlink import LINK_GONE, LINK_IS, LINK_LISTED, LINK_REFUSED, Links
from knote.constants import EV_CLEAR, EV_EOF, EV_ONESHOT, EVFILT_NETDEV, NOTE_LINKDOWN, NOTE_LINKINV, NOTE_LINKUP
from knote.filters.base import Filter
from knote.knote import ACTIVE, DISABLED, SOFT

if TYPE_CHECKING:
    from knote.host import Host
    from knote.knote import Knote

_EINVAL = errno.EINVAL
_ENODEV = errno.ENODEV
_ENOBUFS = errno.ENOBUFS
_EAGAIN = errno.EAGAIN
_INT_MAX = 0x7FFFFFFF
_KNOWN = NOTE_LINKUP | NOTE_LINKDOWN | NOTE_LINKINV
# Of net/if.h.  RUNNING is what the kernel makes of the carrier, the administrator and RFC 2863: packets can pass.
_IFF_UP = 0x1
_IFF_RUNNING = 0x40


class Link:
    """A watched interface: what was last heard of it.  told: heard of since the list that runs was asked for."""

    __slots__ = ("changes", "flags", "gone", "knote", "known", "told")

    def __init__(self, kn: Knote) -> None:
        self.knote = kn
        self.known = False
        self.gone = False
        self.told = False
        self.flags = 0
        self.changes = 0


class NetDev(Filter):
    """One rtnetlink socket, of the network namespace that the process was in when the first knote was added.

    When more happens than the socket holds the kernel throws messages away and says so (ENOBUFS): then all
    interfaces are listed, and compared with what was known.  The kernel's own count of carrier changes tells of
    what came and went in between.
    """

    __slots__ = ("_by_index", "_host", "_links", "_listing", "_refusal", "_torn")

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_NETDEV
        self.forced = EV_CLEAR
        self._host = host
        self._links: Links | None = None
        self._by_index: dict[int, Link] = {}
        self._listing = False
        """A list of all interfaces is on its way."""
        self._torn = False
        """And when it has come, another one is needed."""
        self._refusal = 0

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        if kn.sfflags & ~_KNOWN:
            return _EINVAL
        if not 0 < kn.ident <= _INT_MAX:
            return _ENODEV
        if self._links is None:
            rc = self._open()
            if rc:
                return rc
        links = self._links
        assert links is not None
        self._hear()  # what happened before it was added is not its news
        link = Link(kn)
        self._by_index[kn.ident] = link
        self._refusal = 0
        rc = links.ask(kn.ident)
        if rc == 0:
            # The kernel answers before ask() returns; if that finds no room, a list is made, which has it.
            self._hear()
            rc = 0 if link.known else -(self._refusal or _ENODEV)
        kn.status |= SOFT
        if rc:
            self._forget(kn)
        return -rc

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch()."""
        if fflags & ~_KNOWN:
            return _EINVAL
        kn.sfflags = fflags
        kn.sdata = data
        return 0

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event(): data is the note of what the interface is now."""
        if not kn.status & ACTIVE:
            return 0
        if kn.fflags & NOTE_LINKINV:
            # Its index may be another interface's one day, so the knote goes with it.
            kn.shown = EV_EOF
            kn.flags |= EV_ONESHOT
        return 1

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        self._forget(kn)

    def drain(self, number: int) -> None:
        """Drain.drain()."""
        if self._links is not None:
            self._hear()

    def close(self) -> None:
        """Filter.close()."""
        if self._links is not None:
            self._links.close()
            self._links = None
            self._listing = False

    def _open(self) -> int:
        links = Links()
        if links.fd < 0:
            return -links.fd
        rc = self._host.own(links.fd, self)
        if rc < 0:
            links.close()
            return -rc
        self._links = links
        return 0

    def _forget(self, kn: Knote) -> None:
        link = self._by_index.get(kn.ident)
        if link is not None and link.knote is kn:
            del self._by_index[kn.ident]
            if not self._by_index and self._links is not None:
                self._host.disown(self._links.fd)
                self.close()

    def _hear(self) -> None:
        links = self._links
        assert links is not None
        while True:
            n = links.read()
            if n == -_ENOBUFS:
                self._list()
            elif n < 0:
                if n != -_EAGAIN:
                    self._refusal = -n
                break
            for i in range(n):
                kind = links.kind(i)
                if kind == LINK_LISTED:
                    self._listed(links.flags(i) != 0)
                elif kind == LINK_REFUSED:
                    self._refusal = links.value(i)
                else:
                    link = self._by_index.get(links.index(i))
                    if link is None:
                        pass
                    elif kind == LINK_GONE:
                        self._gone(link)
                    elif kind == LINK_IS:
                        self._is(link, links.flags(i), links.value(i))

    def _list(self) -> None:
        """Ask for all interfaces.  While a list is on its way the kernel makes no other, and what was lost
        meanwhile may be of it."""
        if self._listing:
            self._torn = True
            return
        for link in self._by_index.values():
            link.told = False
        links = self._links
        assert links is not None
        self._torn = False
        # It is refused only when there is no memory for 40 bytes; then the next message makes us ask again.
        self._listing = links.ask(0) == 0

    def _listed(self, torn: bool) -> None:
        self._listing = False
        if torn or self._torn:
            self._list()
            return
        for link in self._by_index.values():
            if not link.told:
                self._gone(link)

    def _gone(self, link: Link) -> None:
        link.told = True
        if link.known and not link.gone:
            link.gone = True
            self._post(link.knote, NOTE_LINKINV, NOTE_LINKINV)

    def _is(self, link: Link, flags: int, changes: int) -> None:
        link.told = True
        if link.gone:
            return  # another one, that got its index
        was = link.flags
        now = NOTE_LINKUP if flags & _IFF_RUNNING else NOTE_LINKDOWN
        happened = 0
        if link.known:
            if (was ^ flags) & _IFF_RUNNING:
                happened = now
            elif was & flags & _IFF_UP and changes - link.changes >= 2:
                # As it was, but its carrier came and went: messages are lost, and the kernel makes one of several.
                happened = NOTE_LINKUP | NOTE_LINKDOWN
        link.known = True
        link.flags = flags
        link.changes = changes
        if happened:
            self._post(link.knote, happened, now)

    def _post(self, kn: Knote, notes: int, now: int) -> None:
        # That it is gone is told whether asked for or not: nothing else will ever be.
        notes &= kn.sfflags | NOTE_LINKINV
        if not kn.status & ACTIVE:
            kn.fflags = 0
        kn.data = now
        if notes:
            kn.fflags |= notes
            kn.status |= ACTIVE
            if not kn.status & DISABLED:
                self._host.ready.append(kn)
