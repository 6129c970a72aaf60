"""docs/filters/: a page for each filter, of one shape, and its numbers are the code's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from knote import constants
from knote.clock import Clock
from knote.filewatch import FileWatch
from knote.filters import make_all
from knote.filters.base import Filter
from knote.host import Host
from knote.ready import ReadyList
from knote.table import Table
from tests.docs.pages import FILTERS, SECTIONS, filter_pages, notes, sections

pytestmark = pytest.mark.needs("docs/")

FORCED_BY_CASE = {constants.EVFILT_TIMER: constants.EV_CLEAR}
"""What a filter forces on some of its knotes only: periods, not dates (S-242)."""

GROUPS = {
    **constants.NOTES_OF,
    constants.EVFILT_PROC: constants.PROC_NOTES,
    constants.EVFILT_PROCDESC: constants.PROC_NOTES,
    constants.EVFILT_TIMER: constants.TIMER_NOTES,
    constants.EVFILT_USER: constants.USER_NOTES,
}
"""The notes that a page may speak of; NOTES_OF has those that it must."""

ROWS = {row.name: row for row in constants.FILTERS}


def _never(*_args: object) -> int:
    raise AssertionError("no filter needs a descriptor before its first knote")


def _nothing(_fd: int) -> None:
    pass


def _no_clock(_number: int, _drain: object) -> Clock:
    raise AssertionError("no filter needs a clock before its first knote")


def filters() -> dict[str, Filter]:
    """Those that a queue has, by name."""
    ready, resting = ReadyList(1), ReadyList(3)
    host = Host(ready, resting, FileWatch(ready, resting, _never), _never, _nothing, _no_clock, Table())
    by_number = {filt.id: filt for filt in make_all(host) if filt is not None}
    return {row.name: by_number[row.value] for row in constants.FILTERS if row.value in by_number}


def name_of(page: Path) -> str:
    return page.stem.upper()


def every_page(test: object) -> object:
    """Once per page; where there is none, for the gate to say so."""
    pages = filter_pages() or [FILTERS / "none.md"]
    return pytest.mark.parametrize("page", [pytest.param(page, id=page.stem) for page in pages])(test)


def test_each_filter_has_its_page() -> None:
    assert {name_of(page) for page in filter_pages()} == set(filters())


def test_the_index_lists_them() -> None:
    """One line each, that links to the page."""
    index = (FILTERS / "README.md").read_text()
    lines = re.findall(r"^\| \[(\w+)\]\((\w+\.md)\) \| (.+) \|$", index, re.MULTILINE)
    assert sorted(file for _, file, _ in lines) == [page.name for page in filter_pages()]
    for name, file, words in lines:
        said = sections(FILTERS / file)["NAME"].strip()
        assert said == f"{name} ({ROWS[name].value}): {words}."


@every_page
def test_its_shape(page: Path) -> None:
    assert page.read_text().startswith(f"# {name_of(page)}\n")
    assert tuple(sections(page)) == SECTIONS


@every_page
def test_its_notes(page: Path) -> None:
    """Each note is the filter's own, with its value; none is forgotten, unless filters share the group."""
    number = ROWS[name_of(page)].value
    told = notes(sections(page)["NOTES"])
    assert told.items() <= {(row.name, row.value) for row in GROUPS.get(number, ())}
    if not told:
        assert sections(page)["NOTES"].startswith("\nNone.")
    must = constants.NOTES_OF.get(number, GROUPS.get(number, ()))
    if must is not constants.SOCKET_NOTES:
        assert {row.name for row in must} <= told.keys()


def test_each_note_of_sockets_is_on_some_page() -> None:
    told = set()
    for page in filter_pages():
        told |= notes(sections(page)["NOTES"]).keys()
    assert {row.name for row in constants.SOCKET_NOTES} <= told


@every_page
def test_its_forced_flags(page: Path) -> None:
    number = ROWS[name_of(page)].value
    forced = filters()[name_of(page)].forced | FORCED_BY_CASE.get(number, 0)
    words = re.findall(r"`(EV_\w+)`", sections(page)["FORCED FLAGS"])
    assert sorted(words) == sorted(row.name for row in constants.FLAGS if row.value & forced)
    if not words:
        assert sections(page)["FORCED FLAGS"].startswith("\nNone.")
