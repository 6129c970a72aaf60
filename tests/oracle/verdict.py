"""Compare knote's answers with FreeBSD's, and say it so that a person sees it at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tests.oracle.differences import Difference
from tests.oracle.player import Outcome
from tests.oracle.trace import Scenario, step_text

Kind = Literal["match", "as described", "differs", "stale row"]


@dataclass(frozen=True)
class Line:
    """One step, compared."""

    number: int
    question: str
    freebsd: str
    wanted: str
    got: str
    crash: str

    @property
    def right(self) -> bool:
        """knote answered what was wanted of it."""
        return self.got == self.wanted


@dataclass(frozen=True)
class Verdict:
    """One scenario on one engine."""

    scenario: Scenario
    engine: str
    row: Difference | None
    lines: Sequence[Line]

    @property
    def kind(self) -> Kind:
        """How it ended."""
        if self.row and all(line.got == line.freebsd for line in self.lines):
            return "stale row"
        if not all(line.right for line in self.lines):
            return "differs"
        return "as described" if self.row else "match"

    @property
    def good(self) -> bool:
        """Nothing for anybody to do."""
        return self.kind in ("match", "as described")

    def __str__(self) -> str:
        return self.report()

    def report(self, *, whole: bool = False) -> str:
        """The scenario step by step up to the last wrong answer, or to the end if *whole*."""
        head = f"{self.scenario.name} [{self.engine}] {self.kind}: {self.scenario.about}"
        if self.kind == "stale row":
            head += "\n    It matches FreeBSD now: take its row out of tests/oracle/differences.py."
        wrong = [line.number for line in self.lines if not line.right]
        last = len(self.lines) if whole or not wrong else wrong[-1]
        width = min(60, max(len(line.question) for line in self.lines[:last]))
        parts = [head]
        for line in self.lines[:last]:
            question = f"{line.number:3}  {line.question}"
            if line.right:
                said = f"      (FreeBSD: {line.freebsd})" if line.freebsd != line.wanted else ""
                parts.append(f"    {question:<{width + 5}}  => {line.got}{said}")
                continue
            who = "wanted: " if self.row else "FreeBSD:"
            parts += [f"  > {question}", f"           {who} {line.wanted}"]
            parts.append(f"           knote:   {line.got}")
            if line.crash:
                parts.append(_indent(line.crash))
        if self.row:
            parts.append(f"    row: rule {self.row.rule}, {self.row.why}")
        return "\n".join(parts)


def _indent(text: str) -> str:
    return "\n".join("           | " + line for line in text.rstrip().splitlines())


def _on_time(scenario: Scenario, index: int, outcome: Outcome) -> str:
    """The answer, with a remark if it came too early (S-028) or late where FreeBSD did not wait.

    The recorded milliseconds are an emulated machine's and are not compared; what they show is
    whether FreeBSD waited at all.
    """
    step = scenario.steps[index]
    limit = step.get("timeout_ms")
    if step["op"] != "kevent" or not limit or not step["nevents"]:
        return outcome.text
    took = f"after {outcome.elapsed_ms:.0f} of {limit} ms"
    if outcome.text == "0" and outcome.elapsed_ms < limit:
        return f"0 (too early, {took})"
    recorded = scenario.elapsed_ms[index]
    if recorded is not None and recorded < limit / 2 and outcome.elapsed_ms >= limit:
        return f"{outcome.text} (too late, {took}; FreeBSD {recorded:.0f} ms)"
    return outcome.text


def judge(
    scenario: Scenario, engine: str, outcomes: Sequence[Outcome], row: Difference | None = None
) -> Verdict:
    """Compare step by step; *row* says where another answer than FreeBSD's is the right one."""
    instead = row.instead if row else {}
    lines = []
    for index, (step, freebsd, outcome) in enumerate(
        zip(scenario.steps, scenario.answers, outcomes, strict=True)
    ):
        lines.append(
            Line(
                number=index + 1,
                question=step_text(step),
                freebsd=freebsd,
                wanted=instead.get(index + 1, freebsd),
                got=_on_time(scenario, index, outcome),
                crash=outcome.crash,
            )
        )
    return Verdict(scenario, engine, row, lines)
