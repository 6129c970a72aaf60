# cython: annotation_typing=False
"""The engine over select(2): as poll(2), for numbers below FD_SETSIZE."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote._kernel.select import SETSIZE, Select
from knote.engines.listed import LEVELS, ListedEngine

if TYPE_CHECKING:
    from knote._kernel.watchset import WatchSet


class SelectEngine(ListedEngine):
    """select(2).  Of the queue's own descriptors two are in the set (a wake-up and a lane's); the others go where
    numbers do not matter."""

    __slots__ = ()
    name = "select"
    about = "select(2): as poll(2), for descriptors below FD_SETSIZE (1024)"
    traits = LEVELS._replace(max_fd=SETSIZE, resolution_ns=1000)

    def _make(self) -> WatchSet:
        return Select()
