"""What a suite of somebody else's tests came to: CPython's (tests/cpython), clients' (tests/clients).

Every test passes, or is skipped with a reason that is printed, or is covered by a row that says why it cannot
pass.  A row that no failing test needs any more, and a suite that has not run what it is there for, fail too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Protocol


class Row(Protocol):
    """Tests that are expected to fail."""

    @property
    def pattern(self) -> str:
        """Of test ids."""

    def covers(self, test: str) -> bool:
        """Whether this test is one of them."""


@dataclass
class Verdict:
    """What one suite came to."""

    passed: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    expected: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    complaints: list[str] = field(default_factory=list)


def judge(records: Iterable[dict[str, str]], rows: Sequence[Row], must_run: Iterable[str]) -> Verdict:
    """Sort the records; rows are those that apply to this suite here."""
    verdict = Verdict()
    failures: dict[str, str] = {}
    passed = set()
    for record in records:
        test = record["test"]
        if record["outcome"] == "skipped":
            verdict.skipped[record["text"]] += 1
        elif record["outcome"] == "passed":
            passed.add(test)
            verdict.passed += 1
        else:
            failures.setdefault(test, record["text"])
    verdict.passed -= len(passed & failures.keys())  # whose tear-down failed
    for test, text in failures.items():
        if any(row.covers(test) for row in rows):
            verdict.expected.append(test)
        else:
            verdict.failed[test] = text
    for row in rows:
        if not any(row.covers(test) for test in failures):
            verdict.complaints.append(f"no failing test needs the row {row.pattern!r}: take it out")
    ran = passed | failures.keys()
    for pattern in must_run:
        if not any(fnmatchcase(test, pattern) for test in ran):
            verdict.complaints.append(f"no test like {pattern!r} has run, so this suite has shown nothing")
    return verdict
