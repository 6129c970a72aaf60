# cython: annotation_typing=False
"""The engine over poll(2): the whole set goes into the kernel and comes back at each wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote._kernel.poll import Poll
from knote.engines.base import Traits
from knote.engines.listed import ListedEngine

if TYPE_CHECKING:
    from knote._kernel.watchset import WatchSet


class PollEngine(ListedEngine):
    """poll(2)."""

    __slots__ = ()
    name = "poll"
    about = "poll(2): the kernel looks at every descriptor at each wait"
    traits = Traits(
        edge=False,
        level=True,
        oneshot=False,
        batches_changes=False,
        sees_close=False,
        pollable=True,
        max_fd=0,
        resolution_ns=1,
        needs_compiled=False,
        ordered=False,
    )

    def _make(self) -> WatchSet:
        return Poll()
