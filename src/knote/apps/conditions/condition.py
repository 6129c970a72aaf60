"""What one waits for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote.apps.conditions import fact
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote import kqueue
    from knote.apps.conditions.fact import Fact


class ConditionError(Exception):
    """It cannot be waited for; the text says what, why, and what to do."""


class Condition(Handler):
    """One thing to wait for.

    kind, subject: as in its facts.  spent: it cannot happen (again).  begin() may tell of it at once, where it is
    so already; ready() tells of what came.  close() gives descriptors back; it may be called at any time.
    early: it begins before a command is started, which would inherit what it changes of the process until then.
    """

    kind = ""
    early = False

    def __init__(self, subject: str = "") -> None:
        self.subject = subject
        self.spent = False

    def begin(self, queue: kqueue, tell: Callable[[Fact], None]) -> None:
        """Register what it needs.  Raises ConditionError."""
        self.queue = queue
        self._tell = tell
        self.start()

    def start(self) -> None:
        """As begin(), queue and tell() being there."""
        raise NotImplementedError

    def tell(self, *words: str, data: int | None = None) -> None:
        """It has happened."""
        self._tell(fact.now(self.kind, self.subject, *words, data=data))

    def close(self) -> None:
        """Give back what it holds.  Its knotes go with the queue."""
