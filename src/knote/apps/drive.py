"""Which driver a server takes: the ring where there is one, readiness everywhere else."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, NamedTuple

from knote.apps.drive_ready import Ready
from knote.apps.drive_ring import Streams
from knote.apps.ring_probe import is_compiled, why_not

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.apps.connection import Driver

RING: Final = "ring"
"""The name of the ring for --engine; all others are engines of a kqueue."""


class Choice(NamedTuple):
    """engine: for the kqueue.  make: what makes the driver of a server, its kqueue and its wheel."""

    engine: str | None
    make: Callable[..., Driver]


def choose(name: str | None) -> Choice:
    """The driver of that name, or the best there is.  ValueError for 'ring' where there is none, with the reason;
    other names are kqueue()'s to refuse."""
    if name is None:
        name = os.environ.get("KNOTE_ENGINE") or None
        if name is None:
            return Choice(None, Streams if is_compiled() and not why_not() else Ready)
    if name != RING:
        return Choice(name, Ready)
    reason = why_not()
    if reason:
        raise ValueError(f"engine 'ring': {reason}")
    return Choice("epoll", Streams)
