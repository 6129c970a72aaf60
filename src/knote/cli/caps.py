"""knote caps"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from knote.cli.arguments import Parser
from knote.cli.say import say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knote.caps import Report

_DESCRIPTION = """\
Show what this kernel and this sandbox give: filter by filter and note by note, each 'no' with its reason; the
facilities below them, and the limits that an administrator sets."""

_EXAMPLES = """\
  knote caps                      everything
  knote caps proc inotify         what has to do with these words
  knote caps --json | jq '.filters[] | select(.here | not)'
  knote caps --probe-io-uring     io_uring, too: that is one system call that some sandboxes kill for

The exit status is 0, 1 if something that was named is not there, 2 for a wrong command line."""

_HEADS = {"filters": ("filter", "here", "by, or why not"), "facilities": ("facility", "here", "why")}
_HEADS["engines"] = ("engine", "here", "why")
_HEADS["limits"] = ("limit", "value", "of")
_HEADS["system"] = ("system", "", "")


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status."""
    parser = Parser("caps", _DESCRIPTION, _EXAMPLES, engine="")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only what has this in its name, in any case")
    parser.add_argument("--json", action="store_true", help="JSON, for programs")
    parser.add_argument("--probe-io-uring", action="store_true", help="ask for io_uring, too")
    asked = parser.parse_args(arguments)
    from knote import caps

    report = caps.report(asked.probe_io_uring)
    tables = _tables(report, [word.lower() for word in asked.words])
    if asked.words and not any(tables.values()):
        say(f"knote caps: nothing has {' or '.join(map(repr, asked.words))} in its name")
        return 1
    if asked.json:
        import json

        show(json.dumps(_named(report, [word.lower() for word in asked.words]), indent=2) + "\n")
    elif not (sys.stdout is not None and sys.stdout.isatty() and _rich(tables)):
        show(_plain(tables))
    if not asked.words:
        return 0
    return 0 if all(row[1] != "no" for rows in tables.values() for row in rows) else 1


def _fits(words: Sequence[str], name: str) -> bool:
    return not words or any(word in name.lower() for word in words)


def _named(report: Report, words: Sequence[str]) -> dict[str, object]:
    """The report as JSON has it, cut down to what was named."""
    whole = report.as_dict()
    if not words:
        return whole
    cut: dict[str, object] = {}
    for key in ("engines", "facilities", "limits"):
        cut[key] = [row for row in whole[key] if _fits(words, row["name"])]
    cut["filters"] = [row for row in whole["filters"] if _fits(words, f"{row['filter']} {row['note']}")]
    return {key: rows for key, rows in cut.items() if rows}


def _word(here: bool | None) -> str:
    return {True: "yes", False: "no", None: "?"}[here]


def _tables(report: Report, words: Sequence[str]) -> dict[str, list[tuple[str, str, str]]]:
    tables: dict[str, list[tuple[str, str, str]]] = {"filters": []}
    for row in report.filters:
        if _fits(words, f"{row.filter} {row.note}"):
            name = f"  {row.note}" if row.note else row.filter
            tables["filters"].append((name, _word(row.here), ", ".join(row.by) if row.here else row.why))
    for key, found in (("engines", report.engines), ("facilities", report.facilities)):
        tables[key] = [(cap.name, _word(cap.here), cap.why) for cap in found if _fits(words, cap.name)]
    tables["limits"] = [
        (limit.name, limit.value, limit.what) for limit in report.limits if _fits(words, limit.name)
    ]
    tables["system"] = [] if words else [(name, text, "") for name, text in report.system.items()]
    return {key: rows for key, rows in tables.items() if rows}


def _plain(tables: dict[str, list[tuple[str, str, str]]]) -> str:
    """Columns, for pipes and where rich is not installed."""
    parts = []
    for key, rows in tables.items():
        table = [_HEADS[key], *rows]
        first = max(len(row[0]) for row in table)
        second = max(len(row[1]) for row in table)
        parts.append("".join(f"{a:<{first}}  {b:<{second}}  {c}".rstrip() + "\n" for a, b, c in table))
    return "\n".join(parts)


def _rich(tables: dict[str, list[tuple[str, str, str]]]) -> bool:
    """For terminals, by rich (the extra `bench` brings it); False where that is not there."""
    try:
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        return False
    colours = {"yes": "green", "no": "red", "?": "yellow"}
    console = Console(highlight=False)
    for key, rows in tables.items():
        table = Table(*_HEADS[key], box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*(Text(cell, style=colours.get(cell, "")) for cell in row))
        console.print(table)
    return True
