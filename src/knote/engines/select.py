# cython: annotation_typing=False
"""The engine over select(2): as poll(2), for numbers below FD_SETSIZE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote._kernel.select import SETSIZE, Select
from knote.engines.base import Traits
from knote.engines.listed import ListedEngine

if TYPE_CHECKING:
    from knote._kernel.watchset import WatchSet


class SelectEngine(ListedEngine):
    """select(2).  Of the queue's own descriptors two are in the set (a wake-up and a lane's); the others go where
    numbers do not matter."""

    __slots__ = ()
    name = "select"
    about = "select(2): as poll(2), for descriptors below FD_SETSIZE (1024)"
    traits = Traits(
        edge=False,
        level=True,
        oneshot=False,
        batches_changes=False,
        sees_close=False,
        pollable=True,
        max_fd=SETSIZE,
        resolution_ns=1000,
        needs_compiled=False,
        ordered=False,
    )

    def _make(self) -> WatchSet:
        return Select()
