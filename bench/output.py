"""Where a run's files go; asked before the run, since afterwards it is too late."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import plots, report
from bench.model import Unavailable
from bench.results import Outcome
from bench.tables import charts

ROOM = 8 << 20
"""Bytes that the files of a run may take: samples, tables, plots."""
BEGIN, END = "<!-- bench: begin -->", "<!-- bench: end -->"
PAGE, PICTURES = "performance.md", "performance"


class Unwritable(Exception):
    """The text says which folder, and why."""


def check(folder: Path) -> None:
    """Make the folder, and see that the files of a run have room there.  Unwritable if not."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            try:
                os.posix_fallocate(probe.fileno(), 0, ROOM)
            except OSError as error:
                # A file system that cannot reserve: what is left of it must do.
                room = os.fstatvfs(probe.fileno())
                if room.f_bavail * room.f_frsize < ROOM:
                    raise OSError(error.errno, error.strerror) from None
    except OSError as error:
        raise Unwritable(
            f"{folder}: {error.strerror}: nothing was measured, since the results ({ROOM >> 20} MiB at most) "
            "could not be written there"
        ) from None


def write(path: Path, text: str) -> None:
    """All of it or nothing: a file of an earlier run is not lost to a full disk."""
    made = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        made.write_text(text, encoding="utf-8")
        made.replace(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            made.unlink()


def pictures(outcome: Sequence[Outcome], about: str, folder: Path, formats: Sequence[str]) -> str:
    """Draw every chart; why not, or ""."""
    try:
        for name, points in charts(outcome).items():
            plots.draw(name, points, about, folder, formats)
    except Unavailable as reason:
        return str(reason)
    return ""


def everything(folder: Path, about: str, machine: str, outcome: Sequence[Outcome], document: str) -> str:
    """results.json, tables.md and the plots; why there are no plots, or ""."""
    write(folder / "results.json", document + "\n")
    missing = pictures(outcome, machine, folder, plots.FORMATS)
    write(folder / "tables.md", report.whole(about, outcome, "" if missing else "."))
    return missing


def page(folder: Path, about: str, machine: str, outcome: Sequence[Outcome]) -> None:
    """Put the run into performance.md, between its two marks, and its plots beside.  Unwritable without marks."""
    path = folder / PAGE
    before, begin, rest = marked(path)
    (folder / PICTURES).mkdir(exist_ok=True)
    if missing := pictures(outcome, machine, folder / PICTURES, ("svg",)):
        raise Unwritable(f"{path}: {missing}")
    write(path, before + begin + "\n" + report.whole(about, outcome, PICTURES) + rest)


def marked(path: Path) -> tuple[str, str, str]:
    """(what is before the first mark, the mark, from the second mark on).  Unwritable where they are not."""
    try:
        before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    except OSError as error:
        raise Unwritable(f"{path}: {error.strerror}") from None
    _, end, after = rest.partition(END)
    if not end:
        raise Unwritable(f"{path}: it has no lines {BEGIN} and {END} to write between")
    return before, begin, end + after
