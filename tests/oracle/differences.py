"""The one table of scenarios in which knote does not answer what FreeBSD answered.

A row names every step whose answer differs and the answer that knote gives instead; a step that is
not named must match, a row whose scenario matches FreeBSD altogether fails as stale.  The table in
docs/differences.md is made of these rows: ``python -m tests.oracle --docs``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

RULES: Final[Mapping[int, str]] = {
    1: "EVFILT_USER: a trigger is never eaten, and control bits never leak into returned fflags",
    2: "Stale readiness: knote may answer the truth about a condition that is gone",
    3: "Overflow: a period too long to represent never fires, rather than at once",
    4: "Signal numbers that do not exist and queues that watch each other are EINVAL; "
    "/dev/null and its like are always ready, with data 0",
    5: "What Linux cannot see: bursts of a standard signal, a pipe's partial read as an edge, "
    "exact send-buffer space",
    6: "What Python or Linux cannot express",
}
"""The decisions of the profile; every difference comes under one of them or is a defect."""


@dataclass(frozen=True)
class Difference:
    """One scenario that ends differently, and how."""

    scenario: str
    rule: int
    instead: Mapping[int, str]
    """Step (from 1, as play.py prints it) → knote's answer."""
    why: str
    """One sentence, for the reader of docs/differences.md."""
    engines: tuple[str, ...] = ()
    """The engines that the row is about; empty means all of them."""

    def covers(self, engine: str) -> bool:
        """The row speaks about *engine*."""
        return not self.engines or engine in self.engines


DIFFERENCES: Final[tuple[Difference, ...]] = ()


def find(scenario: str, engine: str) -> Difference | None:
    """The row for one scenario on one engine."""
    return next(
        (row for row in DIFFERENCES if row.scenario == scenario and row.covers(engine)), None
    )
