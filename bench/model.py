"""The nouns: a case asks one question, a row answers it once, contenders are what is timed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Settings:
    """How much to measure.

    rounds: in all; processes: among how many they are shared out; seconds: of each sample.
    scale: what the sizes of a case (1000 descriptors, say) are multiplied by; 1 except in tests.
    """

    rounds: int = 25
    processes: int = 5
    seconds: float = 0.02
    scale: float = 1.0

    def sized(self, count: int, least: int = 1) -> int:
        """count descriptors, or fewer where only the case's own code is tested."""
        return max(least, int(count * self.scale))


class Contender:
    """Something timed.  sample(seconds) measures for about that long: nanoseconds per unit."""

    def __init__(self, name: str) -> None:
        self.name = name

    def sample(self, seconds: float) -> float:
        """Nanoseconds per unit of work."""
        raise NotImplementedError


class Loop(Contender):
    """run(turns) works so many times and gives the nanoseconds taken; a turn is `units` units."""

    def __init__(self, name: str, run: Callable[[int], int], units: int = 1) -> None:
        super().__init__(name)
        self._run = run
        self._units = units
        self._turn_ns = 0.0

    def sample(self, seconds: float) -> float:
        """As Contender.sample; the number of turns is found at the first call, and kept."""
        if not self._turn_ns:
            turns = 1
            while (taken := self._run(turns)) < 1_000_000 and turns < 1 << 20:
                turns *= 4
            self._turn_ns = taken / turns
        turns = max(1, round(seconds * 1e9 / self._turn_ns))
        return self._run(turns) / turns / self._units


@dataclass(frozen=True)
class Ratio:
    """ours ÷ peer in the same round.  beside: measured with them, for orientation only."""

    name: str
    ours: Contender
    peer: Contender
    target: float | None = None
    unit: str = "event"
    beside: Sequence[Contender] = ()
    seconds: float | None = None
    """Longer samples than Settings.seconds, where the thing is slow."""
    realtime: bool = True
    """False where the scheduler is part of the question."""
    absent: Sequence[str] = ()
    """Who would run beside them and is not on this machine, or cannot do it: name and reason."""


@dataclass(frozen=True)
class Figure:
    """A number by itself, which no peer has: bytes of memory."""

    name: str
    sample: Callable[[], float]
    target: float | None = None
    unit: str = "bytes"
    rounds: int = 5


Row = Ratio | Figure


@dataclass(frozen=True)
class Case:
    """One question.  rows(settings) opens what it needs, hands out the rows, closes it all."""

    name: str
    question: str
    rows: Callable[[Settings], AbstractContextManager[list[Row]]] = field(repr=False)


class Unavailable(Exception):
    """What a case or a contender needs is not on this machine; the text says what."""
