"""The one list of engines, in order of preference, and the choice among them."""

from __future__ import annotations

import os
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

from knote import errors

if TYPE_CHECKING:
    from knote.engines.base import Engine

VARIABLE: Final = "KNOTE_ENGINE"

_CLASSES: Final = {
    "epoll": "EpollEngine", "uring": "UringEngine", "poll": "PollEngine", "select": "SelectEngine",
    "uring-poll": "UringPollEngine", "aio": "AioEngine", "rtsig": "RtsigEngine",
}  # fmt: skip
"""Best first.  A module is imported when its engine is asked about: six that nobody uses are 3 ms of the start."""


class Choice(NamedTuple):
    """An engine, and why it is that one."""

    engine: type[Engine]
    why: str


def names() -> list[str]:
    """The engines of this build, best first."""
    return list(_CLASSES)


@cache
def refusal(name: str) -> str:
    """Why the engine of that name cannot be had here, asked once; "" if it can.  ValueError for a name that is
    none."""
    return _named(name).refusal()


def choose(name: str | None = None) -> type[Engine]:
    """The engine of that name, of $KNOTE_ENGINE, or the best one that works here and has no surprises.  ValueError
    for a name that is none, OSError(ENOSYS) where none works."""
    wanted = name or os.environ.get(VARIABLE)
    return _named(wanted) if wanted else _best()


def explain(name: str | None = None) -> Choice:
    """As choose(), with the reason."""
    if name:
        return Choice(_named(name), "it was asked for")
    said = os.environ.get(VARIABLE)
    if said:
        return Choice(_named(said), f"{VARIABLE}={said}")
    best = _best()
    passed = ", ".join(names()[: names().index(best.name)])
    rest = f" after {passed}, which cannot be used or must be asked for" if passed else ""
    return Choice(best, f"the first of the list{rest} that works here and has no surprises for a program")


def with_edges() -> type[Engine]:
    """The engine for what is edge-triggered where the queue's own knows levels only."""
    return _best()


@cache
def _named(name: str) -> type[Engine]:
    if name not in _CLASSES:
        raise errors.unknown_engine(name, names())
    module = import_module(f"knote.engines.{name.replace('-', '_')}")
    found: type[Engine] = getattr(module, _CLASSES[name])
    return found


@cache
def _best() -> type[Engine]:
    reasons = []
    for engine in map(_named, _CLASSES):
        why = engine.traits.surprise or refusal(engine.name)
        if not why:
            return engine
        reasons.append(f"{engine.name}: {why}")
    raise errors.no_engine(reasons)
