# cython: annotation_typing=False
"""The engine over poll(2): the whole set goes into the kernel and comes back at each wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote._kernel.poll import Poll
from knote.engines.listed import LEVELS, ListedEngine

if TYPE_CHECKING:
    from knote._kernel.watchset import WatchSet


class PollEngine(ListedEngine):
    """poll(2)."""

    __slots__ = ()
    name = "poll"
    about = "poll(2): the kernel looks at every descriptor at each wait"
    traits = LEVELS

    def _make(self) -> WatchSet:
        return Poll()
