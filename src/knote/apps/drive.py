"""Which driver a server takes: the ring where there is one, readiness everywhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from knote.apps.drive_ready import Ready

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.apps.connection import Driver

RING = "ring"
"""The name of the ring for --engine; all others are engines of a kqueue."""


class Choice(NamedTuple):
    """engine: for the kqueue.  make: what makes the driver of a server, its kqueue and its wheel."""

    engine: str | None
    make: Callable[..., Driver]


def choose(name: str | None) -> Choice:
    """The driver of that name, or the best there is.  ValueError, from kqueue(), where there is none."""
    return Choice(name, Ready)
