"""What came of a run, as data: rows, points of charts, cases that could not run.  To JSON and back."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from bench.stats import Spread, paired, verdict

AGAIN = ", again"
"""The second name of who is measured twice."""

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
    absent: list[str] = field(default_factory=list)
    """Who could not take part, and why."""

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
class Point:
    """All contenders of one place of a chart."""

    case: str
    row: str
    chart: dict[str, str] = field(repr=False)
    at: float
    unit: str
    reference: str
    judged: str
    target: float | None
    absent: dict[str, str]
    samples: Samples = field(repr=False)

    @property
    def names(self) -> list[str]:
        """Of the contenders."""
        return [name for name in self.samples if not name.endswith(AGAIN)]

    def against(self, name: str) -> Result:
        """One contender as a row: its ratio to the reference."""
        keys = dict.fromkeys((name, self.reference, self.reference + AGAIN))
        samples = {key: self.samples[key] for key in keys}
        target = self.target if name == self.judged else None
        return Result(self.case, f"{name}: {self.row}", self.unit, target, True, samples)

    @property
    def noise(self) -> Spread | None:
        """Of the reference's ratio to itself."""
        again, once = self.samples.get(self.reference + AGAIN), self.samples.get(self.reference)
        return Spread.of(paired(again, once)) if again and once else None

    @property
    def answers(self) -> list[Result]:
        """The row of who has a target."""
        if self.target is None or self.judged not in self.samples or self.reference not in self.samples:
            return []
        return [self.against(self.judged)]


@dataclass(frozen=True)
class Skipped:
    """A case that cannot run here, and why."""

    case: str
    reason: str


Outcome = Result | Point | Skipped


def plain(item: Outcome) -> dict[str, Any]:
    """As JSON has it; figures to a thousandth of a nanosecond."""
    made = dataclasses.asdict(item)
    if "samples" in made:
        made["samples"] = {name: [round(one, 3) for one in all] for name, all in made["samples"].items()}
    return made


def read(made: dict[str, Any]) -> Outcome:
    """The reverse; what was added for people is left out."""
    kind = Point if "chart" in made else Result if "samples" in made else Skipped
    names = {one.name for one in dataclasses.fields(kind)}
    return kind(**{name: value for name, value in made.items() if name in names})


def results(outcome: Iterable[Outcome]) -> list[Result]:
    """The rows that were measured, those of charts with a target among them."""
    found: list[Result] = []
    for item in outcome:
        found += item.answers if isinstance(item, Point) else [item] if isinstance(item, Result) else []
    return found


def points(outcome: Iterable[Outcome]) -> list[Point]:
    """The places of charts."""
    return [item for item in outcome if isinstance(item, Point)]


def merged(outcome: Iterable[Outcome]) -> list[Outcome]:
    """The rounds of several processes as one: same rows, longer samples."""
    found: dict[tuple[str, ...], Outcome] = {}
    for item in outcome:
        key = (item.case,) if isinstance(item, Skipped) else (item.case, item.row)
        first = found.setdefault(key, item)
        if first is item or isinstance(item, Skipped) or isinstance(first, Skipped):
            continue
        for name, figures in item.samples.items():
            first.samples.setdefault(name, []).extend(figures)
    # Ratios are taken round by round: who was not there in every process has no place in them.
    for item in found.values():
        if isinstance(item, Point):
            most = max((len(figures) for figures in item.samples.values()), default=0)
            for name in [name for name, figures in item.samples.items() if len(figures) < most]:
                del item.samples[name]
                item.absent.setdefault(name, "was not there in each of the processes")
    return list(found.values())


def document(machine: dict[str, Any], settings: dict[str, Any], outcome: Iterable[Outcome]) -> str:
    """The JSON of a run, every sample included: what a later run compares itself with."""
    rows: list[dict[str, Any]] = []
    charted: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for item in outcome:
        if isinstance(item, Skipped):
            skipped.append(plain(item))
        elif isinstance(item, Point):
            charted.append(plain(item))
        else:
            noise = item.noise
            measured = {
                "measured": dataclasses.asdict(item.measured),
                "noise": dataclasses.asdict(noise) if noise else None,
                "verdict": item.verdict,
            }
            rows.append({**plain(item), **measured})
    run = {"machine": machine, "settings": settings, "results": rows, "points": charted, "skipped": skipped}
    return json.dumps(run, indent=1, ensure_ascii=False)


def parsed(text: str) -> tuple[dict[str, Any], list[Outcome]]:
    """(machine, what was measured) of a document.  ValueError if it is none."""
    run = json.loads(text)
    if not isinstance(run, dict) or "results" not in run or not isinstance(run.get("machine", {}), dict):
        raise ValueError("no results in it")
    items = [*run["results"], *run.get("points", ()), *run.get("skipped", ())]
    return run.get("machine", {}), [read(item) for item in items]
