"""Seeing inside: what is registered, and with KNOTE_TRACE=1 what goes in and comes out."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, NamedTuple

from knote import constants

if TYPE_CHECKING:
    from collections.abc import Iterable

    from knote.kevent import kevent


class Registration(NamedTuple):
    """One knote of a queue, as it was when kqueue.knotes() looked."""

    filter: int
    """EVFILT_*."""
    ident: int
    flags: int
    """The flags that stick: EV_CLEAR, EV_ONESHOT, EV_DISPATCH, EV_RECEIPT."""
    fflags: int
    """The notes of the last change."""
    data: int
    """The data of the last change."""
    udata: Any
    enabled: bool
    """Not disabled, neither by EV_DISABLE nor by a delivery with EV_DISPATCH."""
    pending: bool
    """On the queue's own ready list.  What the kernel holds ready is not looked at, since looking collects it."""
    hits: int
    """How often it was returned."""

    def __str__(self) -> str:
        words = [
            constants.filter_text(self.filter),
            f"{constants.ident_text(self.filter)}={self.ident}",
            constants.flags_text(self.flags),
            constants.fflags_text(self.filter, self.fflags),
            "" if self.enabled else "disabled",
            "pending" if self.pending else "",
            f"hits={self.hits}",
        ]
        return " ".join(word for word in words if word)


def trace_changes(number: int, changes: Iterable[kevent]) -> None:
    """One line for each change, on stderr: 'kqueue 4 <- READ fd=5 data=0 ADD'."""
    for change in changes:
        print(f"kqueue {number} <- {change}", file=sys.stderr)


def trace_events(number: int, events: Iterable[kevent]) -> None:
    """One line for each event, on stderr: 'kqueue 4 -> READ fd=5 data=12 CLEAR'."""
    for event in events:
        print(f"kqueue {number} -> {event}", file=sys.stderr)


def trace_error(number: int, error: BaseException) -> None:
    """What control() raised."""
    print(f"kqueue {number} !! {error!r}", file=sys.stderr)
