"""Short words about lists of kevents, so that an assertion reads like the sentence it checks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tests.oracle import names


def idents(events: Iterable[Any]) -> list[int]:
    """The idents in the order returned."""
    return [event.ident for event in events]


def keys(events: Iterable[Any]) -> list[tuple[int, int]]:
    """(ident, filter) in the order returned: a knote's identity (S-044)."""
    return [(event.ident, event.filter) for event in events]


def brief(events: Iterable[Any]) -> list[str]:
    """Each event as the traces write it: '5 READ CLEAR|EOF d=3'; WRITE's data is not told."""
    return [_brief(event) for event in events]


def _brief(event: Any) -> str:
    flt = names.filter_name(event.filter)
    words = [str(event.ident), flt.removeprefix("EVFILT_")]
    if event.flags:
        words.append(names.flags_text(event.flags))
    if event.fflags:
        words.append("ff=" + names.fflags_text(flt, event.flags, event.fflags))
    if event.flags & names.EV_ERROR:
        words.append(f"d={names.errno_text(event.data) if event.data else 0}")
    elif flt != "EVFILT_WRITE":
        words.append(f"d={event.data}")
    if event.udata:
        words.append(f"u={event.udata}")
    return " ".join(words)
