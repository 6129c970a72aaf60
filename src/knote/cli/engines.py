"""knote engines"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from knote.cli.arguments import Parser
from knote.cli.say import say, show

if TYPE_CHECKING:
    from collections.abc import Sequence

    from knote.engines.base import Engine

_DESCRIPTION = """\
Show the kernel mechanisms that a kqueue can run on: which can be had here, which is taken
when nobody says, what each can do, and what runs the mechanisms of other systems."""

_EXAMPLES = """\
  knote engines               which there are, and which is the default
  knote engines --why         what each can do, and why it is not the default
  knote engines poll --why    one of them
  knote engines --json | jq -r '.engines[] | select(.here) | .name'
  KNOTE_ENGINE=poll knote engines --why     whose choice it is

The exit status is 0, 1 if an engine that was named cannot be had here, 2 for a wrong command line."""

FOREIGN: Final = (
    ("kqueue", "FreeBSD, NetBSD, OpenBSD, macOS: the system's own, which knote hands through"),
    ("/dev/poll", "Solaris: interface, not engine; knote.devpoll speaks it on any engine"),
    ("event ports", "Solaris, illumos: interface, not engine; knote.eventport speaks it on any engine"),
    ("IOCP", "Windows: interface, not engine; knote.iocp speaks it on any engine"),
    ("WSAPoll, select", "Windows: knote does not run there; 'poll' and 'select' are the same mechanisms on Linux"),
)
"""Mechanisms of other systems, and what runs them here."""

_WORDS: Final = {
    "edge": ("tells changes", "tells no changes: EV_CLEAR goes to an engine that does"),
    "level": ("tells states", "tells no states"),
    "oneshot": ("disarms by itself", ""),
    "batches_changes": ("makes many changes in one system call", "makes each change by a system call"),
    "sees_close": ("forgets closed descriptors", "finds out of closed descriptors when they are asked for"),
    "by_number": ("asks at each event whether the number is the same file", ""),
    "pollable": ("has a descriptor that others can wait on", "has no descriptor that others can wait on"),
    "ordered": ("keeps the order in which things became true", "reports in an order of its own"),
    "late": ("is told of some things a little late, and asks epoll for them", ""),
    "misses": ("is not told of all, and asks epoll before it sleeps", ""),
    "needs_compiled": ("needs the compiled build", ""),
    "holds_files": ("keeps files open after they were closed", ""),
    "single_thread": ("serves one thread", ""),
    "alters_files": ("changes flags of the program's descriptors", ""),
}


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status."""
    parser = Parser("engines", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these")
    parser.add_argument("--why", action="store_true", help="what each can do, and why it is not the default")
    parser.add_argument("--json", action="store_true", help="JSON, for programs")
    asked = parser.parse_args(arguments)
    report = _report(parser, asked.engine, asked.names)
    if asked.json:
        import json

        show(json.dumps(report, indent=2) + "\n")
    else:
        show(_text(report, asked.why, bool(asked.names)))
    missing = [row["name"] for row in report["engines"] if not row["here"]]
    if asked.names and missing:
        say(f"knote engines: not to be had here: {', '.join(missing)}")
        return 1
    return 0


def _report(parser: Parser, wanted: str | None, names: Sequence[str]) -> dict[str, Any]:
    from knote import engines

    try:
        choice = engines.explain(wanted)
        rows = [_row(engines.choose(name), choice.engine) for name in names or engines.names()]
    except ValueError as error:
        parser.error(str(error))
    foreign = [{"name": name, "run by": text} for name, text in FOREIGN]
    return {"chosen": {"name": choice.engine.name, "why": choice.why}, "engines": rows, "elsewhere": foreign}


def _row(engine: type[Engine], chosen: type[Engine]) -> dict[str, Any]:
    from knote import engines

    refusal = engines.refusal(engine.name)
    return {
        "name": engine.name,
        "here": not refusal,
        "chosen": engine is chosen,
        "why": refusal or engine.traits.surprise,
        "about": engine.about,
        "traits": engine.traits._asdict(),
    }


def _text(report: dict[str, Any], why: bool, cut: bool) -> str:
    rows = report["engines"]
    table = [("engine", "here", "what")]
    table += [(_star(row), "yes" if row["here"] else "no", row["about"]) for row in rows]
    text = _columns(table)
    chosen = report["chosen"]
    text += f"\n* {chosen['name']} is taken: {chosen['why']}.\n"
    if why:
        for row in rows:
            text += f"\n{row['name']}\n" + "".join(f"  {line}\n" for line in _reasons(row, chosen["name"]))
    if not cut:
        elsewhere = [(row["name"], row["run by"]) for row in report["elsewhere"]]
        text += "\n" + _columns([("elsewhere", "run by"), *elsewhere])
    return text


def _star(row: dict[str, Any]) -> str:
    return f"{row['name']} *" if row["chosen"] else str(row["name"])


def _reasons(row: dict[str, Any], chosen: str) -> list[str]:
    traits = row["traits"]
    said = [words[not traits[name]] for name, words in _WORDS.items()]
    lines = [words for words in said if words]
    limit = traits["max_fd"]
    lines.append(f"watches descriptors below {limit}" if limit else "watches descriptors of any number")
    lines.append(f"times a wait to {traits['resolution_ns']} ns")
    if not row["here"]:
        lines.insert(0, f"cannot be had here: {row['why']}")
    elif row["why"]:
        lines.insert(0, f"by name only: {row['why']}")
    elif not row["chosen"]:
        lines.insert(0, f"could be taken by itself, and is not, since {chosen!r} is")
    return lines


def _columns(table: Sequence[Sequence[str]]) -> str:
    """Every column but the last as wide as its widest cell."""
    widths = [max(len(row[i]) for row in table) for i in range(len(table[0]) - 1)]
    lines = []
    for row in table:
        cells = [f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)]
        lines.append("  ".join([*cells, row[-1]]).rstrip() + "\n")
    return "".join(lines)
