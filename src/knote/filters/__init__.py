"""The one list of filters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote.constants import EVFILT_TIMER, EVFILT_USER
from knote.filters.read import Read
from knote.filters.timer import Timer
from knote.filters.user import User
from knote.filters.write import Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.clock import Clock
    from knote.filters.base import Filter
    from knote.ready import ReadyList

__all__ = ["EVFILT_TIMER", "EVFILT_USER", "make_all"]


def make_all(ready: ReadyList, open_clock: Callable[[int], Clock]) -> list[Filter | None]:
    """A queue's filters, each at the index of its negated number."""
    made: tuple[Filter, ...] = (Read(), Write(), User(ready), Timer(ready, open_clock))
    table: list[Filter | None] = [None] * 32
    for filt in made:
        table[-filt.id] = filt
    return table
