"""The table of numbers: spelled out once more where it can go wrong, and compared (S-325)."""

from __future__ import annotations

import errno
import signal

import pytest

import knote
from knote import constants

ROWS = (*constants.FILTERS, *constants.FLAGS, *constants.NOTES)

# Spec 1.9: everything that CPython's select has on a BSD, with FreeBSD's values.
CPYTHON = {
    "KQ_FILTER_READ": -1, "KQ_FILTER_WRITE": -2, "KQ_FILTER_AIO": -3, "KQ_FILTER_VNODE": -4,
    "KQ_FILTER_PROC": -5, "KQ_FILTER_SIGNAL": -6, "KQ_FILTER_TIMER": -7, "KQ_FILTER_NETDEV": -20,
    "KQ_EV_ADD": 1, "KQ_EV_DELETE": 2, "KQ_EV_ENABLE": 4, "KQ_EV_DISABLE": 8,
    "KQ_EV_ONESHOT": 0x10, "KQ_EV_CLEAR": 0x20, "KQ_EV_SYSFLAGS": 0xF000, "KQ_EV_FLAG1": 0x2000,
    "KQ_EV_EOF": 0x8000, "KQ_EV_ERROR": 0x4000,
    "KQ_NOTE_LOWAT": 1, "KQ_NOTE_DELETE": 1, "KQ_NOTE_WRITE": 2, "KQ_NOTE_EXTEND": 4,
    "KQ_NOTE_ATTRIB": 8, "KQ_NOTE_LINK": 0x10, "KQ_NOTE_RENAME": 0x20, "KQ_NOTE_REVOKE": 0x40,
    "KQ_NOTE_EXIT": 0x80000000, "KQ_NOTE_FORK": 0x40000000, "KQ_NOTE_EXEC": 0x20000000,
    "KQ_NOTE_PCTRLMASK": 0xF0000000, "KQ_NOTE_PDATAMASK": 0x000FFFFF, "KQ_NOTE_TRACK": 1,
    "KQ_NOTE_CHILD": 4, "KQ_NOTE_TRACKERR": 2,
    "KQ_NOTE_LINKUP": 1, "KQ_NOTE_LINKDOWN": 2, "KQ_NOTE_LINKINV": 4,
}  # fmt: skip

# What CPython lacks and programs hard-code (cpython #69788), with FreeBSD's values.
EXTENSIONS = {
    "KQ_FILTER_PROCDESC": -8, "KQ_FILTER_FS": -9, "KQ_FILTER_LIO": -10, "KQ_FILTER_USER": -11,
    "KQ_FILTER_SENDFILE": -12, "KQ_FILTER_EMPTY": -13,
    "KQ_EV_RECEIPT": 0x40, "KQ_EV_DISPATCH": 0x80, "KQ_EV_FORCEONESHOT": 0x100,
    "KQ_EV_KEEPUDATA": 0x200,
    "KQ_NOTE_FILE_POLL": 2, "KQ_NOTE_OPEN": 0x80, "KQ_NOTE_CLOSE": 0x100,
    "KQ_NOTE_CLOSE_WRITE": 0x200, "KQ_NOTE_READ": 0x400,
    "KQ_NOTE_SECONDS": 1, "KQ_NOTE_MSECONDS": 2, "KQ_NOTE_USECONDS": 4, "KQ_NOTE_NSECONDS": 8,
    "KQ_NOTE_ABSTIME": 0x10,
    "KQ_NOTE_TRIGGER": 0x01000000, "KQ_NOTE_FFNOP": 0, "KQ_NOTE_FFAND": 0x40000000,
    "KQ_NOTE_FFOR": 0x80000000, "KQ_NOTE_FFCOPY": 0xC0000000, "KQ_NOTE_FFCTRLMASK": 0xC0000000,
    "KQ_NOTE_FFLAGSMASK": 0x00FFFFFF,
}  # fmt: skip

# sys/event.h of macOS, where it is not FreeBSD's.
MACOS = {
    "EVFILT_USER": -10, "EVFILT_EXCEPT": -15, "EVFILT_MEMORYSTATUS": -14,
    "NOTE_USECONDS": 2, "NOTE_NSECONDS": 4, "NOTE_ABSOLUTE": 8, "NOTE_OOB": 2,
    "NOTE_PCTRLMASK": 0xFFF00000, "NOTE_EXITSTATUS": 0x04000000, "NOTE_SIGNAL": 0x08000000,
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_each_name_is_spelled_out_with_the_value_of_its_row(row: constants.Row) -> None:
    spelling = constants.kq_name(row)
    for name in (row.name, spelling):
        assert getattr(constants, name) == row.value
        assert getattr(knote, name) == row.value
        assert name in knote.__all__


def test_no_name_is_spelled_out_that_has_no_row() -> None:
    known = {row.name for row in ROWS} | {constants.kq_name(row) for row in ROWS}
    spelled = {
        name
        for name in dir(constants)
        if name.startswith(("EVFILT_", "EV_", "NOTE_", "VQ_", "KQ_"))
    }
    assert spelled == known


def test_everything_that_select_has_on_a_bsd_is_here() -> None:
    """S-325, spec 1.9: the complete list, no more and no less, is marked as CPython's."""
    assert {name: getattr(knote, name) for name in CPYTHON} == CPYTHON
    assert {constants.kq_name(row) for row in ROWS if row.cpython} == set(CPYTHON)


def test_what_select_lacks_has_freebsds_values() -> None:
    assert {name: getattr(knote, name) for name in EXTENSIONS} == EXTENSIONS


def test_numbers_of_our_own_collide_with_nothing_in_the_profile() -> None:
    """Spec 1.9 (c)."""
    filters = [row.value for row in constants.FILTERS]
    assert len(set(filters)) == len(filters)
    for group in (constants.SOCKET_NOTES, constants.VNODE_NOTES, constants.FS_NOTES):
        values = [row.value for row in group]
        assert len(set(values)) == len(values), group


def test_macos_has_its_own_numbers() -> None:
    """Spec 1.9 (d): never mixed with ours, so the namespace holds BSD spellings only."""
    assert {name: getattr(knote.macos, name) for name in MACOS} == MACOS
    same = ("EVFILT_READ", "EVFILT_WRITE", "EV_ADD", "EV_CLEAR", "NOTE_TRIGGER", "NOTE_SECONDS")
    assert [getattr(knote.macos, name) for name in same] == [getattr(knote, name) for name in same]
    for name in ("EVFILT_EMPTY", "NOTE_MSECONDS", "EV_KEEPUDATA", "NOTE_ABSTIME", "NOTE_OPEN"):
        assert not hasattr(knote.macos, name), name
    assert not [name for name in vars(knote.macos) if name.startswith("KQ_")]


def test_numbers_read_back_as_words() -> None:
    assert constants.filter_text(knote.EVFILT_USER) == "USER"
    assert constants.filter_text(99) == "filter 99"
    assert constants.ident_text(knote.EVFILT_READ) == "fd"
    assert constants.ident_text(knote.EVFILT_SIGNAL) == "signal"
    assert constants.ident_text(knote.EVFILT_USER) == "ident"
    assert constants.flags_text(0) == ""
    assert constants.flags_text(knote.EV_EOF | knote.EV_CLEAR) == "CLEAR|EOF"
    assert constants.flags_text(0x0400 | knote.EV_ADD) == "ADD|0x400"
    assert constants.fflags_text(knote.EVFILT_VNODE, 0x0006) == "WRITE|EXTEND"
    assert constants.fflags_text(knote.EVFILT_USER, 0x5) == "0x5"
    assert constants.fflags_text(99, 0) == ""


def test_errno_and_signal_numbers_are_the_systems_own() -> None:
    """Only kqueue's numbers are FreeBSD's; data and idents are this kernel's."""
    assert not [name for name in dir(knote) if name in errno.errorcode.values()]
    assert not [name for name in dir(knote) if name in signal.Signals.__members__]
