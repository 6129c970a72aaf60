"""The one list of filters.

It is made inside a function: compiled modules import each other's types when they load, and filters.base is one of
those that Knote needs, so this package must load before any filter does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from knote.filters.base import Filter
    from knote.host import Host


def make_all(host: Host) -> list[Filter | None]:
    """A queue's filters, each at the index of its negated number; None where there is none."""
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

    lio = Lio(host)
    made: tuple[Filter, ...] = (
        Read(host),
        Write(host),
        User(host),
        Timer(host),
        Signal(host),
        Empty(host),
        Except(),
        Proc(host),
        ProcDesc(host),
        Vnode(host),
        Fs(host),
        NetDev(host),
        MemoryStatus(host),
        Aio(host, lio),
        lio,
    )
    table: list[Filter | None] = [None] * 32
    for filt in made:
        table[-filt.id] = filt
    return table
