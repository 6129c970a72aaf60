"""Rounds: every contender of a row once, in shuffled order, on one core.

A shared machine is slow for seconds at a time; what is measured within the same tenth of a second
suffers alike, so figures are compared within a round and the median is taken of the quotients.  The
peer runs twice in each round: how far its two figures are apart is the noise that any ratio has.

What a process gets where in its memory is good for some per cent, for as long as it lives; so the
rounds are shared out among processes, and their quartiles tell of this as well (see worker.py).
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import gc
import random
import resource
import time
from collections.abc import Iterator

from bench import machine
from bench.model import Case, Contender, Field, Figure, Ratio, Row, Settings, Unavailable
from bench.results import AGAIN, Outcome, Point, Result, Samples, Skipped, merged

__all__ = ["AGAIN", "Outcome", "Point", "Result", "Samples", "Skipped", "measure", "merged", "result", "run"]

REST = 0.15
"""Part of a round left to everybody else: the kernel throttles real-time tasks above 95 %."""


def measure(row: Row, settings: Settings) -> Samples:
    """Run the rounds of a row: all, or as many as its time is enough for."""
    if isinstance(row, Figure):
        return {row.name: _figures(row, settings)}
    usual = settings.glance if isinstance(row, Field) else settings.seconds
    seconds = min(row.seconds or usual, settings.longest)
    entries = _entries(row)
    samples: Samples = {name: [] for name, _ in entries}
    end = time.monotonic() + settings.budget
    with machine.pinned(machine.cores()[0]):
        for number in range(settings.rounds + 1):
            random.shuffle(entries)
            start = time.monotonic()
            for name, contender in tuple(entries):
                try:
                    with machine.realtime() if row.realtime else contextlib.nullcontext():
                        figure = contender.sample(seconds)
                except (AssertionError, OSError, RuntimeError, Unavailable) as error:
                    if not isinstance(row, Field) or contender.name == row.reference:
                        raise
                    # Of many one less; whoever compares two has nothing left to compare.
                    row.absent[name] = f"failed: {error}"
                    entries.remove((name, contender))
                    del samples[name]
                    continue
                if number:  # the first round warms caches up and finds the numbers of turns
                    samples[name].append(figure)
            time.sleep(REST * (time.monotonic() - start))
            if number >= settings.least and time.monotonic() > end:
                break
    return samples


def _figures(row: Figure, settings: Settings) -> list[float]:
    end = time.monotonic() + settings.budget
    figures: list[float] = []
    for _ in range(min(row.rounds, settings.rounds)):
        figures.append(row.sample())
        if time.monotonic() > end:
            break
    return figures


def _entries(row: Ratio | Field) -> list[tuple[str, Contender]]:
    if isinstance(row, Ratio):
        pair = [(row.ours.name, row.ours), (row.peer.name, row.peer), (row.peer.name + AGAIN, row.peer)]
        return pair + [(other.name, other) for other in row.beside]
    entries = [(contender.name, contender) for contender in row.contenders]
    return entries + [(name + AGAIN, contender) for name, contender in entries if name == row.reference]


def result(case: Case, row: Row, samples: Samples) -> Result | Point:
    """The row with what was measured of it."""
    if isinstance(row, Field):
        chart = dataclasses.asdict(row.chart)
        who = (row.reference, row.judged, row.target, dict(row.absent))
        return Point(case.name, row.name, chart, row.at, row.unit, *who, samples)
    absent = list(row.absent) if isinstance(row, Ratio) else []
    return Result(case.name, row.name, row.unit, row.target, isinstance(row, Ratio), samples, absent)


def run(case: Case, settings: Settings) -> Iterator[Outcome]:
    """Every row of a case, as they are ready."""
    settings = case.fitted(settings)
    try:
        with case.rows(settings) as rows:
            for row in rows:
                gc.collect()  # what the row before left behind is not this one's
                yield result(case, row, measure(row, settings))
    except Unavailable as reason:
        yield Skipped(case.name, str(reason))
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        yield Skipped(case.name, f"it takes more than the {most} descriptors that may be open here (ulimit -Hn)")
