# cython: annotation_typing=False
"""The ready list: first in, first out, and out of the middle at no cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knote.knote import Knote


class ReadyList:
    """A queue of knotes, linked through the knotes themselves; a knote is on one list at most.

    Threads: only under the queue's lock.
    """

    __slots__ = ("count", "head", "id", "tail")

    def __init__(self, number: int) -> None:
        self.id = number
        self.count = 0
        self.head: Knote | None = None
        self.tail: Knote | None = None

    def append(self, kn: Knote) -> None:
        """Put kn at the tail; a knote that is on a list already keeps its place (trace order_readd)."""
        if kn.home:
            return
        kn.home = self.id
        kn.ahead = self.tail
        if self.tail is None:
            self.head = kn
        else:
            self.tail.behind = kn
        self.tail = kn
        self.count += 1

    def remove(self, kn: Knote) -> None:
        """Take kn out, if it is here."""
        if kn.home != self.id:
            return
        ahead = kn.ahead
        behind = kn.behind
        if ahead is None:
            self.head = behind
        else:
            ahead.behind = behind
        if behind is None:
            self.tail = ahead
        else:
            behind.ahead = ahead
        kn.ahead = None
        kn.behind = None
        kn.home = 0
        self.count -= 1

    def pop(self) -> Knote | None:
        """Take the first one out; None when the list is empty."""
        kn = self.head
        if kn is not None:
            self.remove(kn)
        return kn
