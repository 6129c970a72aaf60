"""What the numbers of a change or an event say, in words."""

from __future__ import annotations

import errno
import signal

import pytest

from knote import (
    EV_ADD,
    EV_EOF,
    EV_ERROR,
    EVFILT_PROC,
    EVFILT_READ,
    EVFILT_SIGNAL,
    EVFILT_TIMER,
    EVFILT_USER,
    EVFILT_WRITE,
    NOTE_EXIT,
    NOTE_FFCOPY,
    NOTE_FFOR,
    NOTE_LOWAT,
    NOTE_TRIGGER,
    kevent,
    words,
)


@pytest.mark.parametrize(
    ("filter_", "ident", "text"),
    [
        (EVFILT_READ, 5, "fd=5"),
        (EVFILT_SIGNAL, signal.SIGHUP, "signal=SIGHUP"),
        (EVFILT_SIGNAL, 999, "signal=999"),
        (EVFILT_PROC, 77, "pid=77"),
        (EVFILT_USER, 1 << 63, "ident=9223372036854775808"),
    ],
)
def test_idents(filter_: int, ident: int, text: str) -> None:
    assert words.ident_text(filter_, ident) == text


@pytest.mark.parametrize(
    ("filter_", "flags", "fflags", "text"),
    [
        (EVFILT_READ, EV_ADD, NOTE_LOWAT, "LOWAT"),
        (EVFILT_READ, EV_EOF, errno.ECONNRESET, "ECONNRESET"),
        (EVFILT_WRITE, EV_EOF, 0, ""),
        (EVFILT_USER, 0, NOTE_TRIGGER | NOTE_FFCOPY | 5, "FFCOPY|TRIGGER|0x5"),
        (EVFILT_USER, 0, NOTE_FFOR, "FFOR"),
        (EVFILT_USER, 0, NOTE_TRIGGER, "TRIGGER"),
        (EVFILT_USER, 0, 0, ""),
    ],
)
def test_notes(filter_: int, flags: int, fflags: int, text: str) -> None:
    assert words.fflags_text(filter_, flags, fflags) == text


@pytest.mark.parametrize(
    ("filter_", "flags", "fflags", "data", "text"),
    [
        (EVFILT_READ, 0, 0, 12, "data=12"),
        (EVFILT_READ, EV_ERROR, 0, errno.ENOENT, "data=ENOENT"),
        (EVFILT_TIMER, EV_ERROR, 0, 0, "data=0"),
        (EVFILT_TIMER, EV_ERROR, 0, 9999, "data=9999"),
        (EVFILT_PROC, 0, NOTE_EXIT, 3 << 8, "data=768 (exit 3)"),
        (EVFILT_PROC, 0, NOTE_EXIT, int(signal.SIGKILL), "data=9 (SIGKILL)"),
        (EVFILT_PROC, 0, 0, 9, "data=9"),
    ],
)
def test_data(filter_: int, flags: int, fflags: int, data: int, text: str) -> None:
    assert words.data_text(filter_, flags, fflags, data) == text


def test_they_are_in_str() -> None:
    assert str(kevent(5, EVFILT_READ, EV_EOF, errno.ECONNRESET)) == "READ fd=5 data=0 EOF ECONNRESET"
