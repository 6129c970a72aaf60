# cython: annotation_typing=False
"""Who is told that a knote is ready: the object in its udata."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knote import kevent


class Handler:
    """Every knote of a program has one as its udata, so that an event finds its way without a table: no
    descriptor number is looked up, and an event that is left over from a closed one meets the object that it
    was meant for, not the next user of the number."""

    __slots__ = ()

    def ready(self, event: kevent) -> None:
        """The event has come; called by the loop that collected it."""
        raise NotImplementedError


def deliver(events: list[kevent]) -> None:
    """Tell each event's handler, in order."""
    for event in events:
        handler = event.udata
        handler.ready(event)
