"""Rounds: every contender of a row once, in shuffled order, on one core.

A shared machine is slow for seconds at a time; what is measured within the same tenth of a second
suffers alike, so figures are compared within a round and the median is taken of the quotients.  The
peer runs twice in each round: how far its two figures are apart is the noise that any ratio has.

What a process gets where in its memory is good for some per cent, for as long as it lives; so the
rounds are shared out among processes, and their quartiles tell of this as well (see worker.py).
"""

from __future__ import annotations

import contextlib
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from bench import machine
from bench.model import Case, Contender, Figure, Ratio, Row, Settings, Unavailable
from bench.stats import Spread, paired, verdict

AGAIN = ", again"
"""The peer's second name."""

REST = 0.15
"""Part of a round left to everybody else: the kernel throttles real-time tasks above 95 %."""


Samples = dict[str, list[float]]
"""Name → figures, round by round: ours, the peer, the peer again, what ran beside them."""


@dataclass(frozen=True)
class Result:
    """One row, measured: nanoseconds per unit, or where there is no ratio the figure itself."""

    case: str
    row: str
    unit: str
    target: float | None
    ratio: bool
    samples: Samples = field(repr=False)
    absent: Sequence[str] = ()

    @property
    def names(self) -> list[str]:
        """Of the contenders: ours, the peer, what ran beside them."""
        return [name for name in self.samples if not name.endswith(AGAIN)]

    @property
    def measured(self) -> Spread:
        """Of the ratio, or of the figure."""
        ours, *others = self.samples.values()
        return Spread.of(paired(ours, others[0]) if self.ratio else ours)

    @property
    def noise(self) -> Spread | None:
        """Of the peer's ratio to itself."""
        if not self.ratio:
            return None
        _, peer, again, *_ = self.samples.values()
        return Spread.of(paired(again, peer))

    @property
    def verdict(self) -> str:
        """met, missed, unclear or nothing; see stats.verdict."""
        return verdict(self.measured, self.target)


@dataclass(frozen=True)
class Skipped:
    """A case that cannot run here, and why."""

    case: str
    reason: str


def measure(row: Row, settings: Settings) -> Samples:
    """Run all rounds of a row."""
    if isinstance(row, Figure):
        name = row.name
        samples: Samples = {name: []}
        for _ in range(min(row.rounds, settings.rounds)):
            samples[name].append(row.sample())
        return samples
    seconds = row.seconds or settings.seconds
    entries: list[tuple[str, Contender]] = [
        (row.ours.name, row.ours),
        (row.peer.name, row.peer),
        (row.peer.name + AGAIN, row.peer),
        *((other.name, other) for other in row.beside),
    ]
    samples = {name: [] for name, _ in entries}
    with machine.pinned(machine.cores()[0]):
        for number in range(settings.rounds + 1):
            random.shuffle(entries)
            start = time.monotonic()
            for name, contender in entries:
                with machine.realtime() if row.realtime else contextlib.nullcontext():
                    figure = contender.sample(seconds)
                if number:  # the first round warms caches up and finds the numbers of turns
                    samples[name].append(figure)
            time.sleep(REST * (time.monotonic() - start))
    return samples


def result(case: Case, row: Row, samples: Samples) -> Result:
    """The row with what was measured of it."""
    absent = row.absent if isinstance(row, Ratio) else ()
    return Result(case.name, row.name, row.unit, row.target, isinstance(row, Ratio), samples, absent)


def run(case: Case, settings: Settings) -> Iterator[Result | Skipped]:
    """Every row of a case, as they are ready."""
    try:
        with case.rows(settings) as rows:
            for row in rows:
                yield result(case, row, measure(row, settings))
    except Unavailable as reason:
        yield Skipped(case.name, str(reason))


def merged(outcome: Iterable[Result | Skipped]) -> list[Result | Skipped]:
    """The rounds of several processes as one: same rows, longer samples."""
    found: dict[tuple[str, ...], Result | Skipped] = {}
    for item in outcome:
        key = (item.case, item.row) if isinstance(item, Result) else (item.case,)
        first = found.setdefault(key, item)
        if isinstance(item, Result) and isinstance(first, Result) and first is not item:
            for name, figures in item.samples.items():
                first.samples[name].extend(figures)
    return list(found.values())
