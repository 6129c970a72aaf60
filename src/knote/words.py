"""What the numbers of a change or an event say, in the words that a person reads."""

from __future__ import annotations

import errno
import os
import signal
from typing import Final

from knote import constants

_STREAMS: Final = (
    constants.EVFILT_READ, constants.EVFILT_WRITE, constants.EVFILT_EXCEPT, constants.EVFILT_EMPTY,
)  # fmt: skip
_PROCESSES: Final = (constants.EVFILT_PROC, constants.EVFILT_PROCDESC)
_ACTIONS: Final = (
    (constants.NOTE_FFCTRLMASK, constants.NOTE_FFAND, "FFAND"),
    (constants.NOTE_FFCTRLMASK, constants.NOTE_FFOR, "FFOR"),
    (constants.NOTE_FFCTRLMASK, constants.NOTE_FFCOPY, "FFCOPY"),
    (constants.NOTE_TRIGGER, constants.NOTE_TRIGGER, "TRIGGER"),
)


def errno_name(number: int) -> str:
    """'ENOENT' for 2; the number for one without a name."""
    return errno.errorcode.get(number, str(number))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)


def ident_text(filter_: int, ident: int) -> str:
    """'fd=5', 'signal=SIGHUP', 'ident=7'."""
    word = constants.ident_text(filter_)
    return f"{word}={_signal_name(ident) if word == 'signal' else ident}"


def fflags_text(filter_: int, flags: int, fflags: int) -> str:
    """'LOWAT', 'TRIGGER|FFCOPY|0x5'; with EV_EOF of a descriptor its error, 'ECONNRESET'; '' for 0."""
    if flags & constants.EV_EOF and fflags and filter_ in _STREAMS:
        return errno_name(fflags)
    if filter_ != constants.EVFILT_USER:
        return constants.fflags_text(filter_, fflags)
    words = [word for mask, value, word in _ACTIONS if fflags & mask == value]
    rest = fflags & constants.NOTE_FFLAGSMASK
    return "|".join(words + ([hex(rest)] if rest else []))


def data_text(filter_: int, flags: int, fflags: int, data: int) -> str:
    """'data=12'; with EV_ERROR the errno, 'data=ENOENT'; of an ended process 'data=256 (exit 1)'."""
    if flags & constants.EV_ERROR:
        return f"data={errno_name(data) if data else 0}"
    if filter_ in _PROCESSES and fflags & constants.NOTE_EXIT and data >= 0:
        code = os.waitstatus_to_exitcode(data) if os.WIFEXITED(data) or os.WIFSIGNALED(data) else None
        if code is not None:
            return f"data={data} ({f'exit {code}' if code >= 0 else _signal_name(-code)})"
    return f"data={data}"
