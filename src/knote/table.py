# cython: annotation_typing=False
"""(filter, ident) -> knote, and token -> source."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote.constants import EVFILT_AIO
from knote.source import Source

if TYPE_CHECKING:
    from knote.knote import Knote


_SLOT = 0xFFFF_FFFF
_FILTERS = 32
"""Room for the numbers of all filters, negated."""


class Table:
    """All registrations of one queue.

    Descriptors are small dense numbers, so the number itself is the slot: a list finds its source in one
    step, and an idle descriptor costs 8 bytes here.  The idents of requests have a slot in them, which does the
    same (a dict's share of a page-cached read was a tenth).  What is neither (timers, user events, pids) goes by a
    dict per filter, with idents of any size.
    Threads: only under the queue's lock.
    """

    __slots__ = ("_generation", "_others", "_requests", "shared", "slots", "watched")

    def __init__(self) -> None:
        self.slots: list[Source | None] = []
        """Of descriptors: the source, by their number."""
        self._others: list[dict[int, Knote] | None] = [None] * _FILTERS
        """By the negated number of the filter, by ident."""
        self._requests: list[Knote | None] = []
        """Of EVFILT_AIO: by the slot in their ident."""
        self._generation = 0
        self.watched = 0
        """How many descriptors have a source."""
        self.shared = 0
        """How many knotes share a descriptor with an earlier one."""

    def source(self, fd: int) -> Source | None:
        """The source of that descriptor number."""
        return self.slots[fd] if 0 <= fd < len(self.slots) else None

    def add_source(self, fd: int, identity: int) -> Source:
        """A new source for fd, with a generation that no source of this number has had."""
        while len(self.slots) <= fd:
            self.slots.append(None)
        # 0 is for the queue's own descriptors, whose token is the bare number.
        self._generation = (self._generation + 1) & 0xFFFF_FFFF or 1
        source = Source(fd, self._generation, identity)
        self.slots[fd] = source
        self.watched += 1
        return source

    def drop_source(self, source: Source) -> None:
        """Forget it; its tokens are stale from now on."""
        if self.slots[source.fd] is source:
            self.slots[source.fd] = None
            self.watched -= 1

    def by_token(self, token: int) -> Source | None:
        """The source that this token was made for; None if it is gone."""
        fd = token & _SLOT
        if fd >= len(self.slots):
            return None
        source = self.slots[fd]
        if source is None or source.token != token:
            return None
        return source

    def find(self, number: int, ident: int) -> Knote | None:
        """The knote of a filter whose idents are not descriptors."""
        if number == EVFILT_AIO:
            slot = ident & _SLOT
            kn = self._requests[slot] if slot < len(self._requests) else None
            return kn if kn is not None and kn.ident == ident else None
        knotes = self._others[-number]
        return None if knotes is None else knotes.get(ident)

    def add(self, kn: Knote) -> None:
        """Enter a knote whose ident is not a descriptor."""
        if kn.filter == EVFILT_AIO:
            slot = kn.ident & _SLOT
            while len(self._requests) <= slot:
                self._requests.append(None)
            self._requests[slot] = kn
            return
        knotes = self._others[-kn.filter]
        if knotes is None:
            knotes = self._others[-kn.filter] = {}
        knotes[kn.ident] = kn

    def remove(self, kn: Knote) -> None:
        """Take it out again."""
        if kn.filter == EVFILT_AIO:
            slot = kn.ident & _SLOT
            if slot < len(self._requests) and self._requests[slot] is kn:
                self._requests[slot] = None
            return
        knotes = self._others[-kn.filter]
        if knotes is not None and knotes.get(kn.ident) is kn:
            del knotes[kn.ident]

    def sources(self) -> list[Source]:
        """Every source, by descriptor number."""
        return [source for source in self.slots if source is not None]

    def all(self) -> list[Knote]:
        """Every knote: those of descriptors by number, then the others by filter."""
        found: list[Knote] = []
        for source in self.sources():
            kn = source.knotes
            while kn is not None:
                found.append(kn)
                kn = kn.sibling
        for knotes in self._others:
            if knotes is not None:
                found.extend(knotes.values())
        for one in self._requests:
            if one is not None:
                found.append(one)
        return found
