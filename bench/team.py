"""Who takes part in a chart: knote on every engine that it lists, and whoever else is here.

Nobody is left out silently: who cannot take part is noted with the reason, in its own words.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache

from bench import machine
from bench.model import Contender, Loop, Unavailable
from knote import caps, kqueue

Open = Callable[[], AbstractContextManager[Callable[[int], int]]]


class Team:
    """The contenders of a Field, and the absent."""

    def __init__(self) -> None:
        self.contenders: list[Contender] = []
        self.absent: dict[str, str] = {}

    def add(self, name: str, make: Callable[[], Contender]) -> None:
        """Take it in, or note why not."""
        try:
            self.contenders.append(make())
        except (Unavailable, ImportError, OSError, RuntimeError, ValueError) as error:
            self.absent[name] = str(error)

    def engines(self, make: Callable[[str, Callable[[], kqueue]], Contender]) -> None:
        """make(its name, what opens a queue on it) for each engine."""
        for engine, why in engines().items():
            name = f"knote {engine}"
            if why:
                self.absent[name] = why
            else:
                self.add(name, lambda name=name, engine=engine: make(name, opener(engine)))  # type: ignore[misc]


@cache
def engines() -> dict[str, str]:
    """Every engine that knote lists, best first, and why it cannot be used ("" if it can)."""
    return {cap.name: "" if cap.here is not False else cap.why for cap in caps.report().engines}


def opener(engine: str) -> Callable[[], kqueue]:
    """What opens a queue on it."""
    return lambda: kqueue(engine=engine)


def default() -> str:
    """The name, as a contender, of knote on the engine that it takes by itself."""
    asked = os.environ.get(machine.ENGINE)
    usable = [engine for engine, why in engines().items() if not why]
    return f"knote {asked or usable[0]}"


class Opened(Contender):
    """A loop whose things are there only while it is measured, so that nothing of it weighs upon the others.

    open() gives run(turns) as a Loop has it; opening and closing are not counted.
    """

    def __init__(self, name: str, open: Open, units: int = 1) -> None:
        super().__init__(name)
        self._open = open
        self._units = units
        self._turns: Loop | None = None

    def sample(self, seconds: float) -> float:
        """As Contender.sample; the first run after opening is not counted."""
        with self._open() as run:
            run(1)
            if self._turns is None:
                self._turns = Loop(self.name, run, self._units)
            else:
                self._turns.run = run
            return self._turns.sample(seconds)
