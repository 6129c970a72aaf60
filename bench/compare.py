"""This run beside an old one: what is better or worse by more than both runs' noise."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from bench.results import Outcome, Point, Result
from bench.stats import Spread

Run = tuple[dict[str, Any], list[Outcome]]
"""The facts of the machine, and what was measured."""

WORDS = {
    "processor": "processor", "cores": "cores", "machine": "machine", "kernel": "kernel", "python": "CPython",
    "compiler": "compiler", "knote": "knote", "build": "build", "engine": "engine",
    "realtime": "real-time priority",
}  # fmt: skip
"""Facts that a figure depends on, in words."""

LEAST = 0.02
"""No smaller change is told: what has no noise of its own, a number of bytes, is still rounded somewhere."""


@dataclass(frozen=True)
class Change:
    """One row in both runs.  word: better, worse, or "" for neither."""

    case: str
    row: str
    unit: str
    old: Spread
    new: Spread
    noise: float
    word: str

    @property
    def shift(self) -> float:
        """0.1 for ten per cent more."""
        return self.new.median / self.old.median - 1 if self.old.median else 0.0


def _rows(outcome: Iterable[Outcome]) -> Iterator[Result]:
    for item in outcome:
        if isinstance(item, Result):
            yield item
        elif isinstance(item, Point) and item.reference in item.samples:
            yield from (item.against(name) for name in item.names if name != item.reference)


def noise(result: Result) -> float:
    """By how much a ratio of it may be off: what the peer's ratio to itself was off by."""
    own = result.noise
    return max(LEAST, own.high - 1, 1 - own.low) if own else LEAST


def changes(old: Iterable[Outcome], new: Iterable[Outcome]) -> list[Change]:
    """Every row that is in both.  It changed if the quartiles do not meet and the medians are further apart than
    the noise of either run."""
    before = {(row.case, row.row): row for row in _rows(old) if row.samples}
    found = []
    for row in _rows(new):
        was = before.get((row.case, row.row))
        if was is None:
            continue
        a, b = was.measured, row.measured
        limit = max(noise(was), noise(row))
        apart = a.median > 0 and abs(b.median / a.median - 1) > limit
        word = "worse" if apart and b.low > a.high else "better" if apart and b.high < a.low else ""
        found.append(Change(row.case, row.row, "×" if row.ratio else row.unit, a, b, limit, word))
    return found


def only_in(one: Iterable[Outcome], other: Iterable[Outcome]) -> int:
    """How many rows of the one the other does not have."""
    names = {(row.case, row.row) for row in _rows(other)}
    return sum((row.case, row.row) not in names for row in _rows(one))


def _spread(spread: Spread, unit: str) -> str:
    return f"{spread.median:.3g} {unit} ({spread.low:.3g}–{spread.high:.3g})"


def otherwise(old: dict[str, Any], new: dict[str, Any]) -> str:
    """What was not as it is now, or ""."""
    apart = [fact for fact in WORDS if fact in old and old[fact] != new.get(fact)]
    return ", ".join(f"{WORDS[fact]} {_fact(old[fact])} (now {_fact(new.get(fact))})" for fact in apart)


def _fact(value: Any) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value or "not said")


def markdown(before: Run, now: Run, about: str) -> str:
    """What changed, worst first, and how much did not; and what else is not as it was."""
    (old_facts, old), (facts, new) = before, now
    every = changes(old, new)
    moved = sorted((one for one in every if one.word), key=lambda one: -one.shift)
    lines = [f"Compared with {about}: {len(every)} rows in both."]
    if apart := otherwise(old_facts, facts):
        lines[0] += f" It was measured otherwise: {apart}."
    if moved:
        lines += ["", "| | case | row | before | now | change | noise |", "|---|---|---|---|---|---|---|"]
    for one in moved:
        cells = (one.word, one.case, one.row, _spread(one.old, one.unit), _spread(one.new, one.unit))
        lines.append("| " + " | ".join(cells) + f" | {one.shift:+.0%} | ± {one.noise:.0%} |")
    better = sum(one.word == "better" for one in moved)
    told = f"{better} better, {len(moved) - better} worse, {len(every) - len(moved)} within the noise."
    gone, came = only_in(old, new), only_in(new, old)
    if gone or came:
        told += f" Only before: {gone}; only now: {came}."
    return "\n".join([*lines, "", told])
