"""The nouns: a case asks one question, a row answers it once, contenders are what is timed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class Settings:
    """How much to measure.

    rounds: in all; processes: among how many they are shared out; seconds: of each sample, but of a chart's, which
    has many contenders, `glance`.  longest: no sample is longer, whatever its row asks for.
    budget: seconds for all rounds of a row, after which it ends with those that it has, at least `least`.
    scale: what the sizes of a case (1000 descriptors, say) are multiplied by; 1 except in tests.
    heavy: the same for cases that take long, and more than once, to set up.
    places: how many of a chart, from end to end; 0 for all.
    """

    rounds: int = 15
    processes: int = 3
    seconds: float = 0.02
    glance: float = 0.005
    longest: float = 1.0
    budget: float = 10.0
    least: int = 1
    scale: float = 1.0
    heavy: float = 1.0
    places: int = 0

    def sized(self, count: int, least: int = 1) -> int:
        """count descriptors, or fewer where only the case's own code is tested."""
        return max(least, int(count * self.scale))

    def along(self, counts: Sequence[int], least: int = 1, most: int | None = None) -> list[int]:
        """The places of a chart: such sizes, as far as there is room for them, thinned out to `places`."""
        every = sorted({self.sized(count, least) for count in counts if most is None or count <= most})
        if not 1 < self.places < len(every):
            return every
        last = len(every) - 1
        return [every[round(i * last / (self.places - 1))] for i in range(self.places)]


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
        self.run = run
        self._units = units
        self._turn_ns = 0.0

    def sample(self, seconds: float) -> float:
        """As Contender.sample; the number of turns is found at the first call, and kept."""
        if not self._turn_ns:
            turns = 1
            while (taken := self.run(turns)) < 1_000_000 and turns < 1 << 20:
                turns *= 4
            self._turn_ns = taken / turns
        turns = max(1, round(seconds * 1e9 / self._turn_ns))
        return self.run(turns) / turns / self._units


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


@dataclass(frozen=True)
class Chart:
    """A picture of many contenders: curves over x, or, where x is "", one dot for each.

    name: of its files; title: what it shows; x, y: the axes, with units.
    """

    name: str
    title: str
    x: str
    y: str = "ns per event"


@dataclass(frozen=True)
class Field:
    """Many contenders at one place of a chart; all are measured in each round.

    reference: the one that is measured twice, and that the others are divided by.
    absent: who is not here, and why.  judged: who has the target.
    """

    chart: Chart
    at: float
    contenders: Sequence[Contender]
    reference: str
    absent: dict[str, str] = field(default_factory=dict)
    judged: str = ""
    target: float | None = None
    unit: str = "event"
    seconds: float | None = None
    realtime: bool = True

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.chart.name}, {self.at:g}" if self.chart.x else self.chart.name


Row = Ratio | Figure | Field


@dataclass(frozen=True)
class Case:
    """One question.  rows(settings) opens what it needs, hands out the rows, closes it all.

    Where the rows together need more descriptors than there are, they come from a generator, which opens each
    when it is asked for it and closes it when it is asked for the next.
    """

    name: str
    question: str
    rows: Callable[[Settings], AbstractContextManager[Iterable[Row]]] = field(repr=False)
    heavy: bool = False
    """Takes seconds to set up: it has one process, and with --quick a tenth of its size."""

    def fitted(self, settings: Settings) -> Settings:
        """What becomes of the settings for a heavy case."""
        if not self.heavy:
            return settings
        return replace(settings, processes=1, scale=settings.scale * settings.heavy)


class Unavailable(Exception):
    """What a case or a contender needs is not on this machine; the text says what."""
