"""What a run says: a table for people (by rich, or in Markdown), JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from statistics import median
from typing import TYPE_CHECKING, Any

from bench.runner import Result, Skipped

if TYPE_CHECKING:
    from bench.bar import Bar

COLUMNS = ("case", "what", "ratio", "quartiles", "noise", "target", "", "ours", "peer", "beside")


def cells(result: Result) -> list[str]:
    """A row of the table.  Times are medians, in nanoseconds per unit."""
    measured, target = result.measured, result.target
    noise = result.noise
    if noise is None:
        return [
            result.case,
            result.row,
            f"{measured.median:.0f} {result.unit}",
            f"{measured.low:.0f}–{measured.high:.0f}",
            "",
            "" if target is None else f"≤ {target:g}",
            result.verdict,
            *[""] * 3,
        ]
    times = [f"{name} {_time(median(result.samples[name]))}" for name in result.names]
    return [
        result.case,
        result.row,
        f"{measured.median:.2f} ×",
        f"{measured.low:.2f}–{measured.high:.2f}",
        f"{noise.low:.2f}–{noise.high:.2f}",
        "" if target is None else f"≤ {target:g} ×",
        result.verdict,
        f"{times[0]}/{result.unit}",
        times[1],
        "; ".join(times[2:]),
    ]


def _time(nanoseconds: float) -> str:
    return f"{nanoseconds / 1000:.2f} µs" if nanoseconds >= 2000 else f"{nanoseconds:.0f} ns"


def markdown(results: Iterable[Result]) -> str:
    """The table as in docs/performance.md."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    lines += ["| " + " | ".join(cells(result)) + " |" for result in results]
    return "\n".join(lines)


COLOURS = {"met": "green", "missed": "red", "unclear": "yellow"}


def show(results: Sequence[Result], plain: bool) -> None:
    """Print the table to stdout."""
    if plain or not sys.stdout.isatty():
        print(markdown(results))
        return
    try:
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        print(markdown(results))
        return
    table = Table(*COLUMNS)
    for result in results:
        row = cells(result)
        if colour := COLOURS.get(result.verdict):
            row[6] = f"[{colour}]{row[6]}[/]"
        table.add_row(*row)
    Console().print(table)


class Silence:
    """Where nobody looks, or rich is not installed."""

    def step(self, what: str) -> None:
        """One step is done; `what` comes next."""

    def end(self) -> None:
        """No more steps."""


def progress(steps: int, plain: bool) -> Bar | Silence:
    """A bar on stderr where somebody looks at it."""
    if not plain and sys.stderr.isatty():
        try:
            from bench.bar import Bar
        except ImportError:
            pass
        else:
            return Bar(steps)
    return Silence()


def document(
    machine: dict[str, Any], settings: dict[str, Any], outcome: Iterable[Result | Skipped]
) -> str:
    """The JSON of a run, every sample included: what a later run compares itself with."""
    results: list[dict[str, Any]] = []
    skipped: list[dict[str, Any]] = []
    for item in outcome:
        if isinstance(item, Skipped):
            skipped.append(asdict(item))
        else:
            results.append(
                {
                    **asdict(item),
                    "measured": asdict(item.measured),
                    "noise": asdict(item.noise) if item.noise else None,
                    "verdict": item.verdict,
                }
            )
    run = {"machine": machine, "settings": settings, "results": results, "skipped": skipped}
    return json.dumps(run, indent=1, ensure_ascii=False)
