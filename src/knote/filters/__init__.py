"""The one list of filters.

It is made inside a function: compiled modules import each other's types when they load, and filters.base is one of
those that Knote needs, so this package must load before any filter does.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from knote.filters.base import Filter
    from knote.host import Host


@cache
def _types() -> tuple[type[Any], ...]:
    """Every filter's class; the three that are made in a way of their own first.  Kept: fifteen import statements
    were half of what a queue took to make."""
    from knote.filters.aio import Aio
    from knote.filters.empty import Empty
    from knote.filters.except_ import Except
    from knote.filters.fs import Fs
    from knote.filters.lio import Lio
    from knote.filters.memory import MemoryStatus
    from knote.filters.netdev import NetDev
    from knote.filters.proc import Proc
    from knote.filters.procdesc import ProcDesc
    from knote.filters.read import Read
    from knote.filters.signal import Signal
    from knote.filters.timer import Timer
    from knote.filters.user import User
    from knote.filters.vnode import Vnode
    from knote.filters.write import Write

    return (
        Aio, Lio, Except,
        Read, Write, User, Timer, Signal, Empty, Proc, ProcDesc, Vnode, Fs, NetDev, MemoryStatus,
    )  # fmt: skip


def make_all(host: Host) -> list[Filter | None]:
    """A queue's filters, each at the index of its negated number; None where there is none."""
    aio, lists, except_, *others = _types()
    lio = lists(host)
    table: list[Filter | None] = [None] * 32
    for filt in (aio(host, lio), lio, except_(), *(one(host) for one in others)):
        table[-filt.id] = filt
    return table
