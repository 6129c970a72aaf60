"""Rounds: every contender of a row once, in shuffled order, on one core.

A shared machine is slow for seconds at a time; what is measured within the same tenth of a second
suffers alike, so figures are compared within a round and the median is taken of the quotients.  The
peer runs twice in each round: how far its two figures are apart is the noise that any ratio has.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from bench import machine
from bench.model import Case, Contender, Figure, Row, Settings, Unavailable
from bench.stats import Spread, paired, verdict

AGAIN = ", again"
"""The peer's second name."""

REST = 0.1
"""Part of a round left to everybody else: the kernel throttles real-time tasks above 95 %."""


@dataclass(frozen=True)
class Result:
    """One row, measured.  samples: name → ns per unit (or the figure itself), round by round."""

    case: str
    row: str
    unit: str
    target: float | None
    measured: Spread
    """Of the ratio, or of the figure."""
    noise: Spread | None
    """Of the peer against itself."""
    samples: dict[str, list[float]] = field(repr=False)
    ratio: bool = True

    @property
    def names(self) -> list[str]:
        """Of the contenders: ours, the peer, what ran beside them."""
        return [name for name in self.samples if not name.endswith(AGAIN)]

    @property
    def verdict(self) -> str:
        """met, missed, unclear or nothing; see stats.verdict."""
        return verdict(self.measured, self.target)


@dataclass(frozen=True)
class Skipped:
    """A case that cannot run here, and why."""

    case: str
    reason: str


Samples = dict[str, list[float]]
"""By contender's name, round by round."""


def measure(row: Row, settings: Settings, tick: Callable[[], None] = lambda: None) -> Samples:
    """Run all rounds of a row; tick() is called after each."""
    if isinstance(row, Figure):
        name = row.name
        samples: Samples = {name: []}
        for _ in range(min(row.rounds, settings.rounds)):
            samples[name].append(row.sample())
            tick()
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
                with machine.realtime():
                    figure = contender.sample(seconds)
                if number:  # the first round warms caches up and finds the numbers of turns
                    samples[name].append(figure)
            time.sleep(REST * (time.monotonic() - start))
            if number:
                tick()
    return samples


def result(case: Case, row: Row, samples: Samples) -> Result:
    """The statistics of one row."""
    if isinstance(row, Figure):
        figure = Spread.of(samples[row.name])
        return Result(case.name, row.name, row.unit, row.target, figure, None, samples, ratio=False)
    ours, peer = samples[row.ours.name], samples[row.peer.name]
    again = samples[row.peer.name + AGAIN]
    measured, noise = Spread.of(paired(ours, peer)), Spread.of(paired(again, peer))
    return Result(case.name, row.name, row.unit, row.target, measured, noise, samples)


def rounds_of(row: Row, settings: Settings) -> int:
    """How often measure() will tick."""
    return min(row.rounds, settings.rounds) if isinstance(row, Figure) else settings.rounds


def run(case: Case, settings: Settings, progress: Progress) -> Iterator[Result | Skipped]:
    """Every row of a case, as they are ready."""
    try:
        with case.rows(settings) as rows:
            progress.begin(case.name, sum(rounds_of(row, settings) for row in rows))
            for row in rows:
                progress.row(row.name)
                yield result(case, row, measure(row, settings, progress.tick))
    except Unavailable as reason:
        yield Skipped(case.name, str(reason))


class Progress:
    """Told of every round; this one shows nothing."""

    def begin(self, case: str, rounds: int) -> None:
        """A case of so many rounds begins."""

    def row(self, name: str) -> None:
        """A row of it begins."""

    def tick(self) -> None:
        """A round is done."""

    def end(self) -> None:
        """Nothing more comes."""
