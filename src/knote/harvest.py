# cython: annotation_typing=False
"""What belongs to one control() call: the engine's hits, the events to return, and what to let go of after."""

from __future__ import annotations

from knote._kernel.batch import Batch
from knote._kernel.spares import more
from knote.kevent import kevent


class Harvest:
    """Two threads never share one, so two waiters never share a batch.

    graveyard takes the knotes and udata that the call replaced: dropping the last reference to them may run a
    finalizer, which must not happen under the lock.
    """

    __slots__ = ("batch", "culprit", "error", "events", "filled", "graveyard", "kept", "lost", "room", "serial")

    def __init__(self) -> None:
        self.batch = Batch()
        self.events: list[kevent] = []
        self.filled = 0
        self.kept = False
        """Whoever collects keeps the events, and gives them to nobody: they are filled in anew by the next
        call."""
        self.room = 0
        self.graveyard: list[object] = []
        self.error = 0
        """The errno of a change whose error had no room; 0 if none."""
        self.culprit: kevent | None = None
        self.serial = 0
        """Counts collecting calls: a knote with this number was returned by this one."""
        self.lost = False
        """A receipt had no room: the call ends with nothing (trace receipt_noroom_second)."""

    def widen(self, count: int) -> None:
        """Have so many more events, to be filled in."""
        self.events = more(kevent, self.events, count)

    def reset(self) -> None:
        """Make it ready for another call; the events that it holds are the caller's by now."""
        if self.graveyard:
            self.graveyard.clear()
        if self.filled or self.events:
            self.events = []
            self.filled = 0
        self.error = 0
        self.culprit = None
        self.lost = False
