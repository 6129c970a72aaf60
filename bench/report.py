"""What a run says to people: tables by rich, or in Markdown; the progress bar."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from statistics import median
from typing import TYPE_CHECKING

from bench import tables
from bench.results import Outcome, Point, Result, Skipped, results
from knote.cli.say import show as show_text

if TYPE_CHECKING:
    from bench.bar import Bar

FIGURES = ("", "ratio", "quartiles", "noise", "target", "")
COLUMNS = ("case", *FIGURES, "times")


def figures(result: Result) -> list[str]:
    """The row's name, what was measured, and the verdict."""
    measured, noise, target = result.measured, result.noise, result.target
    if noise is None:
        return [
            result.row,
            f"{tables.number(measured.median)} {result.unit}",
            f"{tables.number(measured.low)}–{tables.number(measured.high)}",
            "",
            "" if target is None else f"≤ {target:g}",
            result.verdict,
        ]
    return [
        result.row,
        f"{measured.median:.2f} ×",
        f"{measured.low:.2f}–{measured.high:.2f}",
        f"{noise.low:.2f}–{noise.high:.2f}",
        "" if target is None else f"≤ {target:g} ×",
        result.verdict,
    ]


def times(result: Result) -> str:
    """Medians per unit: ours, the peer's, and of what ran beside them."""
    if not result.ratio:
        return ""
    of = {name: median(result.samples[name]) for name in result.names}
    told = ", ".join(f"{name} {_time(nanoseconds)}" for name, nanoseconds in of.items())
    return "; ".join([f"{told} per {result.unit}", *(f"without {reason}" for reason in result.absent)])


def _time(nanoseconds: float) -> str:
    return f"{nanoseconds / 1000:.2f} µs" if nanoseconds >= 2000 else f"{nanoseconds:.0f} ns"


def markdown(results: Iterable[Result]) -> str:
    """The table as in docs/performance.md."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + "---|" * len(COLUMNS)]
    for result in results:
        lines.append("| " + " | ".join([result.case, *figures(result), times(result)]) + " |")
    return "\n".join(lines)


COLOURS = {"met": "green", "missed": "red", "unclear": "yellow"}


def show(results: Sequence[Result], plain: bool) -> None:
    """Print the table to stdout: for a terminal of 80 columns, or in Markdown.  Charts have their own."""
    if not results:
        return
    if plain or not sys.stdout or not sys.stdout.isatty():
        show_text(markdown(results) + "\n")
        return
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
    except ImportError:
        show_text(markdown(results) + "\n")
        return
    console = Console(highlight=False)
    for case in dict.fromkeys(result.case for result in results):
        table = Table(title=case, title_justify="left", box=box.SIMPLE_HEAD, expand=True)
        for name in FIGURES:
            table.add_column(name, no_wrap=name != "", ratio=1 if not table.columns else None)
        for result in results:
            if result.case == case:
                what, *rest, verdict = figures(result)
                colour = COLOURS.get(verdict, "default")
                below = f"\n[dim]{times(result)}[/]" if result.ratio else ""
                table.add_row(what + below, *rest, f"[{colour}]{verdict}[/]")
        console.print(table)


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


def charts(outcome: Sequence[Outcome]) -> str:
    """A table for each chart, under its title."""
    parts = []
    for points in tables.charts(outcome).values():
        parts += [f"### {points[0].chart['title']}", tables.table(points), _below(points)]
    return "\n\n".join(part for part in parts if part)


def whole(about: str, outcome: Sequence[Outcome], pictures: str = "") -> str:
    """Everything in Markdown: the rows, a table for each chart, who is absent, where it loses.

    pictures: the folder of the plots, as seen from the page; "" for none.
    """
    parts = [about]
    if rows := results(outcome):
        parts.append(markdown(rows))
    for name, points in tables.charts(outcome).items():
        title = points[0].chart["title"]
        parts.append(f"### {title}")
        if pictures:
            parts.append(f"![{title}]({pictures}/{name}.svg)")
        parts += [tables.table(points), _below(points)]
    for item in outcome:
        if isinstance(item, Skipped):
            parts.append(f"{item.case} did not run: {item.reason}.")
    parts += ["### Where it loses, by this run", tables.losses(outcome)]
    return "\n\n".join(part for part in parts if part) + "\n"


def _below(points: Sequence[Point]) -> str:
    lines = [f"Noise: {tables.noise(points)}."] if tables.noise(points) else []
    lines += [f"Not here: {', '.join(who)}: {why}." for why, who in tables.absent(points).items()]
    return "\n".join(lines)
