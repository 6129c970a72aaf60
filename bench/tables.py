"""Charts in words: a Markdown table each, who is absent and why, and where knote loses."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median

from bench.results import Outcome, Point, points, results
from bench.stats import Spread

BY_HAND = ("select.epoll", "select.poll", "select.select", "selectors", "asyncio", "uvloop")
"""What a Python program would have instead."""


def charts(outcome: Iterable[Outcome]) -> dict[str, list[Point]]:
    """Name → its points, from left to right."""
    found: dict[str, list[Point]] = {}
    for point in points(outcome):
        found.setdefault(point.chart["name"], []).append(point)
    return {name: sorted(all, key=lambda point: point.at) for name, all in found.items()}


def contenders(points: Sequence[Point]) -> list[str]:
    """Whoever was measured at one of these places, in the order of the team."""
    return list(dict.fromkeys(name for point in points for name in point.names if point.samples[name]))


def number(value: float) -> str:
    """Three digits: 0.42, 12.3, 1540, 46k, 1.8M."""
    for limit, unit in ((1e6, "M"), (1e4, "k")):
        if value >= limit:
            value /= 1000 if unit == "k" else 1e6
            return f"{value:.3g}{unit}" if value < 1000 else f"{value:.0f}{unit}"
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def _cell(point: Point, name: str) -> str:
    if not point.samples.get(name):
        return "–"
    spread = Spread.of(point.samples[name])
    off = (spread.high - spread.low) / 2 / spread.median if spread.median else 0.0
    told = f"{number(spread.median)} ± {off:.0%}"
    if point.reference in point.samples and name != point.reference:
        told += f" ({number(point.against(name).measured.median)} ×)"
    return told


def table(points: Sequence[Point]) -> str:
    """A row for each contender; median ± half the interquartile range, and the ratio to the reference."""
    chart = points[0].chart
    heads = [f"{point.at:g}" for point in points] if chart["x"] else [""]
    left = f"{chart['y']} \\ {chart['x']}" if chart["x"] else chart["y"]
    lines = [f"| {left} | " + " | ".join(heads) + " |", "|---" * (1 + len(points)) + "|"]
    for name in contenders(points):
        bold = "**" if name == points[0].judged else ""
        lines.append(f"| {bold}{name}{bold} | " + " | ".join(_cell(point, name) for point in points) + " |")
    return "\n".join(lines)


def noise(points: Sequence[Point]) -> str:
    """The A/A run of a chart, in words."""
    own = [spread for point in points if (spread := point.noise)]
    if not own:
        return ""
    low, high = min(one.low for one in own), max(one.high for one in own)
    middle = median(one.median for one in own)
    return f"{points[0].reference} against itself: {middle:.2f} × ({low:.2f}–{high:.2f})"


def absent(points: Sequence[Point]) -> dict[str, list[str]]:
    """Reason → who is missing somewhere because of it."""
    found: dict[str, list[str]] = {}
    for point in points:
        for name, why in point.absent.items():
            who = name if len(point.absent) and name not in contenders(points) else f"{name} from {point.at:g} on"
            if not any(one.split(" from ")[0] == name for one in found.get(why, [])):
                found.setdefault(why, []).append(who)
    return found


def losses(outcome: Sequence[Outcome]) -> str:
    """A table: targets that are not met, and of each chart the worst place at which something else is faster."""
    lines = ["| where | knote | faster, or wanted | ratio | quartiles |", "|---|---|---|---|---|"]
    for row in results(outcome):
        if row.verdict in ("missed", "unclear"):
            spread, unit = row.measured, "×" if row.ratio else row.unit
            ours = next(iter(row.samples))
            wanted = f"target ≤ {row.target:g} {unit} ({row.verdict})"
            cells = (f"{row.case}: {row.row}", ours if row.ratio else "", wanted)
            lines.append(
                f"| {' | '.join(cells)} | {spread.median:.3g} {unit} | {spread.low:.3g}–{spread.high:.3g} |"
            )
    for name, all in charts(outcome).items():
        worst = max((found for point in all for found in _behind(point)), default=None)
        if worst:
            ratio, low, high, at, who, ours = worst
            where = f"{all[0].chart['title']}, at {at:g}" if all[0].chart["x"] else all[0].chart["title"]
            lines.append(f"| {name}: {where} | {ours} | {who} | {ratio:.2f} × | {low:.2f}–{high:.2f} |")
    return "\n".join(lines) if len(lines) > 2 else "Nowhere in this run."


def _behind(point: Point) -> list[tuple[float, float, float, float, str, str]]:
    """(ratio, its quartiles, where, who is faster, ours) for each that is, by more than the quartiles."""
    ours = point.samples.get(point.judged)
    found = []
    for who in BY_HAND if ours else ():
        peer = point.samples.get(who)
        if peer and median(peer) > 1:  # less is next to nothing, and no ratio to it says anything
            spread = Spread.of([a / b for a, b in zip(ours or (), peer, strict=True) if b])
            if spread.low > 1:
                found.append((spread.median, spread.low, spread.high, point.at, who, point.judged))
    return found
