"""The one list of engines, in order of preference, and the choice among them."""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple

from knote import errors
from knote.engines.aio import AioEngine
from knote.engines.epoll import EpollEngine
from knote.engines.poll import PollEngine
from knote.engines.rtsig import RtsigEngine
from knote.engines.select import SelectEngine
from knote.engines.uring import UringEngine
from knote.engines.uring_poll import UringPollEngine

if TYPE_CHECKING:
    from knote.engines.base import Engine

VARIABLE: Final = "KNOTE_ENGINE"

ENGINES: tuple[type[Engine], ...] = (
    EpollEngine, UringEngine, PollEngine, SelectEngine, UringPollEngine, AioEngine, RtsigEngine,
)  # fmt: skip


class Choice(NamedTuple):
    """An engine, and why it is that one."""

    engine: type[Engine]
    why: str


def names() -> list[str]:
    """The engines of this build, best first."""
    return [engine.name for engine in ENGINES]


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
    passed = ", ".join(engine.name for engine in ENGINES[: ENGINES.index(best)])
    rest = f" after {passed}, which cannot be used or must be asked for" if passed else ""
    return Choice(best, f"the first of the list{rest} that works here and has no surprises for a program")


def with_edges() -> type[Engine]:
    """The engine for what is edge-triggered where the queue's own knows levels only."""
    return _best()


def _named(name: str) -> type[Engine]:
    for engine in ENGINES:
        if engine.name == name:
            return engine
    raise errors.unknown_engine(name, names())


@cache
def _best() -> type[Engine]:
    reasons = []
    for engine in ENGINES:
        why = engine.traits.surprise or refusal(engine.name)
        if not why:
            return engine
        reasons.append(f"{engine.name}: {why}")
    raise errors.no_engine(reasons)
