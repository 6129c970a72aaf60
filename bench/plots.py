"""Charts as pictures, by matplotlib: SVG and PNG that tell without the text around them what is shown.

Colours are of Okabe and Ito's palette, which everybody can tell apart, and mean the kind of contender, as a line
below the picture says; which one it is says the label at its line's end, and its marker.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench import tables
from bench.model import Unavailable
from bench.results import Point
from bench.stats import Spread

KINDS = {"knote": "#0072B2", "Python": "#D55E00", "C": "#4D4D4D", "library": "#009E73"}
WORDS = {"knote": "knote", "Python": "else in Python", "C": "a loop in C", "library": "a library in C"}
LIBRARIES = ("libev", "libevent", "libuv")
MARKERS = "osD^vPX<>*hp"
TITLE, TEXT, SMALL = 13, 9.5, 8
FORMATS = ("svg", "png")


def kind(name: str) -> str:
    """Whose the contender is."""
    if name.startswith("knote") or name.endswith("on knote"):
        return "knote"
    if name.startswith("C "):
        return "C"
    return "library" if name in LIBRARIES else "Python"


def library() -> Any:
    """matplotlib's pyplot, without a screen.  Unavailable if it is not installed."""
    try:
        import matplotlib
    except ImportError:
        raise Unavailable("no plots: matplotlib is not installed (pip install 'knote[bench]')") from None
    matplotlib.use("Agg")
    matplotlib.rcParams.update(
        {
            "svg.fonttype": "none",  # text stays text: a tenth of the size, and it can be searched
            "svg.hashsalt": "knote",
            "font.family": "sans-serif",
            "font.size": TEXT,
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )
    from matplotlib import pyplot

    return pyplot


def draw(name: str, points: Sequence[Point], about: str, folder: Path, formats: Sequence[str]) -> list[Path]:
    """Write NAME.svg and NAME.png; the paths."""
    pyplot = library()
    figure = _dots(pyplot, points) if not points[0].chart["x"] else _lines(pyplot, points)
    rounds = max((len(all) for all in points[0].samples.values()), default=0)
    figure.text(0.015, 0.012, f"{about}. Median of {rounds} rounds, bars: quartiles.", size=SMALL, color="#555555")
    _explain(figure, points)
    made = []
    for suffix in formats:
        path = folder / f"{name}.{suffix}"
        figure.savefig(path, dpi=110, metadata={"Date": None} if suffix == "svg" else None)
        made.append(path)
    pyplot.close(figure)
    return made


def _explain(figure: Any, points: Sequence[Point]) -> None:
    # What the colours mean, one beside the other, above the line with the machine.
    from matplotlib.lines import Line2D

    here = {kind(name) for name in tables.contenders(points)}
    handles = [
        Line2D([], [], color=colour, linewidth=1.6, marker="o", markersize=4.5, label=WORDS[whose])
        for whose, colour in KINDS.items()
        if whose in here
    ]
    judged = points[0].judged
    if judged != WORDS["knote"] and judged in tables.contenders(points):
        handles.insert(1, Line2D([], [], color=KINDS["knote"], linewidth=2.6, marker="o", label=judged))
    at = (0.085, 0.3 / figure.get_figheight())
    figure.legend(
        handles=handles, loc="lower left", bbox_to_anchor=at, ncols=len(handles), frameon=False, fontsize=TEXT
    )


def _lines(pyplot: Any, points: Sequence[Point]) -> Any:
    chart, names = points[0].chart, tables.contenders(points)
    figure, axes = pyplot.subplots(figsize=(9, 5.9))
    longest = max(map(len, names), default=0)
    figure.subplots_adjust(left=0.085, right=1 - max(0.2, 0.035 + 0.0072 * longest), top=0.905, bottom=0.19)
    wide = points[-1].at / points[0].at >= 10
    axes.set_xscale("log" if wide else "linear")
    axes.set_yscale("log")
    seen: dict[str, int] = {}
    ends = []
    for name in names:
        here = [point for point in points if point.samples.get(name)]
        spreads = [Spread.of(point.samples[name]) for point in here]
        whose = kind(name)
        order = seen[whose] = seen.get(whose, -1) + 1
        first = name == points[0].judged
        axes.errorbar(
            [point.at for point in here],
            [spread.median for spread in spreads],
            yerr=[
                [spread.median - spread.low for spread in spreads],
                [spread.high - spread.median for spread in spreads],
            ],
            color=KINDS[whose], marker=MARKERS[order % len(MARKERS)], markersize=6 if first else 4.5,
            linewidth=2.6 if first else 1.2, elinewidth=0.8, linestyle="-" if order < 4 else "--",
            zorder=3 if first else 2,
        )  # fmt: skip
        ends.append((spreads[-1].median, here[-1].at, name, first))
    axes.set_title(chart["title"], loc="left", size=TITLE, weight="bold")
    axes.set_xlabel(chart["x"] + (" (log scale)" if wide else ""))
    axes.set_ylabel(chart["y"] + " (log scale; lower is better)")
    axes.grid(True, which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    _ticks(axes.yaxis)
    if wide:
        axes.set_xticks([point.at for point in points], [tables.number(point.at) for point in points], minor=False)
        axes.set_xticks([], minor=True)
    else:
        axes.set_xticks([point.at for point in points])
    _label(axes, ends)
    return figure


def _ticks(axis: Any) -> None:
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    low, high = axis.get_view_interval()
    if high < 50 * low:  # one power of ten in it, or none, would be one number at the axis, or none
        axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high > 5 * low else (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: tables.number(value)))
    axis.set_minor_formatter(NullFormatter())


def _label(axes: Any, ends: list[tuple[float, float, str, bool]]) -> None:
    """Names to the right of the picture, beside the ends of their lines, and not upon one another."""
    low, high = axes.get_ylim()
    axes.set_ylim(low, high)
    to_place = axes.transData + axes.transAxes.inverted()
    places = sorted((*to_place.transform((at, value)), name, first) for value, at, name, first in ends)
    places.sort(key=lambda place: place[1])
    gap = min(0.052, 1.0 / max(len(places), 1))
    heights = [float(place[1]) for place in places]
    for _ in range(200):  # push neighbours apart until all have room
        for i in range(len(heights) - 1):
            short = gap - (heights[i + 1] - heights[i])
            if short > 1e-6:
                heights[i] -= short / 2
                heights[i + 1] += short / 2
        heights = [min(max(height, -0.03), 1.03) for height in heights]
    for (x, y, name, first), height in zip(places, heights, strict=True):
        axes.annotate(
            name, xy=(x, y), xytext=(1.035, height), xycoords="axes fraction", textcoords="axes fraction",
            color=KINDS[kind(name)], va="center", size=TEXT, weight="bold" if first else "normal",
            arrowprops={
                "arrowstyle": "-", "relpos": (0, 0.5), "color": KINDS[kind(name)], "linewidth": 0.5, "alpha": 0.6,
                "shrinkA": 1, "shrinkB": 3,
            },
        )  # fmt: skip


def _dots(pyplot: Any, points: Sequence[Point]) -> Any:
    (point, *_), names = points, tables.contenders(points)
    spreads = {name: Spread.of(point.samples[name]) for name in names}
    names.sort(key=lambda name: -spreads[name].median)
    figure, axes = pyplot.subplots(figsize=(9, 1.95 + 0.34 * len(names)))
    height = figure.get_figheight()
    figure.subplots_adjust(left=0.2, right=0.9, top=1 - 0.5 / height, bottom=1.2 / height)
    axes.set_xscale("log")
    for row, name in enumerate(names):
        spread, first = spreads[name], name == point.judged
        axes.errorbar(
            [spread.median], [row], xerr=[[spread.median - spread.low], [spread.high - spread.median]],
            color=KINDS[kind(name)], marker="o", markersize=9 if first else 6, elinewidth=1.5,
        )  # fmt: skip
        axes.annotate(
            number_of(spread.median), (spread.high, row), xytext=(9, 0), textcoords="offset points",
            va="center", color=KINDS[kind(name)], weight="bold" if first else "normal",
        )  # fmt: skip
    axes.set_yticks(range(len(names)), names)
    for label in axes.get_yticklabels():
        label.set_color(KINDS[kind(label.get_text())])
        label.set_weight("bold" if label.get_text() == point.judged else "normal")
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.margins(x=0.12)
    axes.set_title(point.chart["title"], loc="left", size=TITLE, weight="bold", x=-0.24)
    axes.set_xlabel(point.chart["y"] + " (log scale; lower is better)")
    axes.grid(True, axis="x", which="major", color="#DDDDDD", linewidth=0.6)
    axes.set_axisbelow(True)
    _ticks(axes.xaxis)
    return figure


def number_of(value: float) -> str:
    """Beside a dot; what is next to nothing cannot be placed on a log scale, and was put at its edge."""
    return "≈ 0" if value <= 1 and value == int(value) else tables.number(value)
