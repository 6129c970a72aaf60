"""The one list of engines, in order of preference."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from knote import errors
from knote.engines.epoll import EpollEngine

if TYPE_CHECKING:
    from knote.engines.base import Engine

ENGINES: tuple[type[Engine], ...] = (EpollEngine,)


def names() -> list[str]:
    """The engines of this build, best first."""
    return [engine.name for engine in ENGINES]


def choose(name: str | None = None) -> type[Engine]:
    """The engine of that name, of $KNOTE_ENGINE, or the first one.  ValueError for a name that is none."""
    wanted = name or os.environ.get("KNOTE_ENGINE") or ENGINES[0].name
    for engine in ENGINES:
        if engine.name == wanted:
            return engine
    raise errors.unknown_engine(wanted, names())
