"""The numbers behind the names in the traces, and the words by which we print them.

An oracle does not ask the accused: this table is FreeBSD's sys/event.h, written down independently
of knote.constants, and test_player.py compares the two.
"""

from __future__ import annotations

import errno
import signal
from collections.abc import Iterable, Mapping
from typing import Final

FILTERS: Final[Mapping[str, int]] = {
    "EVFILT_READ": -1,
    "EVFILT_WRITE": -2,
    "EVFILT_AIO": -3,
    "EVFILT_VNODE": -4,
    "EVFILT_PROC": -5,
    "EVFILT_SIGNAL": -6,
    "EVFILT_TIMER": -7,
    "EVFILT_PROCDESC": -8,
    "EVFILT_FS": -9,
    "EVFILT_LIO": -10,
    "EVFILT_USER": -11,
    "EVFILT_SENDFILE": -12,
    "EVFILT_EMPTY": -13,
}

FLAGS: Final[Mapping[str, int]] = {
    "EV_ADD": 0x0001,
    "EV_DELETE": 0x0002,
    "EV_ENABLE": 0x0004,
    "EV_DISABLE": 0x0008,
    "EV_ONESHOT": 0x0010,
    "EV_CLEAR": 0x0020,
    "EV_RECEIPT": 0x0040,
    "EV_DISPATCH": 0x0080,
    "EV_FORCEONESHOT": 0x0100,
    "EV_KEEPUDATA": 0x0200,
    "EV_DROP": 0x1000,
    "EV_FLAG1": 0x2000,
    "EV_ERROR": 0x4000,
    "EV_EOF": 0x8000,
}
EV_ERROR: Final = FLAGS["EV_ERROR"]
EV_EOF: Final = FLAGS["EV_EOF"]

_FD_NOTES: Final = {"NOTE_LOWAT": 0x1, "NOTE_FILE_POLL": 0x2}
_VNODE_NOTES: Final = {
    "NOTE_DELETE": 0x0001,
    "NOTE_WRITE": 0x0002,
    "NOTE_EXTEND": 0x0004,
    "NOTE_ATTRIB": 0x0008,
    "NOTE_LINK": 0x0010,
    "NOTE_RENAME": 0x0020,
    "NOTE_REVOKE": 0x0040,
    "NOTE_OPEN": 0x0080,
    "NOTE_CLOSE": 0x0100,
    "NOTE_CLOSE_WRITE": 0x0200,
    "NOTE_READ": 0x0400,
}
_PROC_NOTES: Final = {
    "NOTE_EXIT": 0x80000000,
    "NOTE_FORK": 0x40000000,
    "NOTE_EXEC": 0x20000000,
    "NOTE_TRACK": 0x1,
    "NOTE_TRACKERR": 0x2,
    "NOTE_CHILD": 0x4,
}
_TIMER_NOTES: Final = {
    "NOTE_SECONDS": 0x01,
    "NOTE_MSECONDS": 0x02,
    "NOTE_USECONDS": 0x04,
    "NOTE_NSECONDS": 0x08,
    "NOTE_ABSTIME": 0x10,
}
_USER_NOTES: Final = {
    "NOTE_TRIGGER": 0x01000000,
    "NOTE_FFNOP": 0x00000000,
    "NOTE_FFAND": 0x40000000,
    "NOTE_FFOR": 0x80000000,
    "NOTE_FFCOPY": 0xC0000000,
}
NOTES: Final[Mapping[str, Mapping[str, int]]] = {
    "EVFILT_READ": _FD_NOTES,
    "EVFILT_WRITE": _FD_NOTES,
    "EVFILT_EMPTY": _FD_NOTES,
    "EVFILT_VNODE": _VNODE_NOTES,
    "EVFILT_PROC": _PROC_NOTES,
    "EVFILT_PROCDESC": _PROC_NOTES,
    "EVFILT_TIMER": _TIMER_NOTES,
    "EVFILT_USER": _USER_NOTES,
}
FD_FILTERS: Final = frozenset(
    {"EVFILT_READ", "EVFILT_WRITE", "EVFILT_VNODE", "EVFILT_EMPTY", "EVFILT_PROCDESC"}
)

_FILTER_OF: Final = {number: name for name, number in FILTERS.items()}
_USER_CONTROL: Final = 0xC0000000


def filter_number(word: str | int) -> int:
    """EVFILT_READ → -1; a number stays what it is (traces try filters that do not exist)."""
    return word if isinstance(word, int) else FILTERS[word]


def filter_name(number: int) -> str:
    """-1 → EVFILT_READ; an unknown number in digits."""
    return _FILTER_OF.get(number, str(number))


def flags_number(words: Iterable[str | int] | None) -> int:
    """[EV_ADD, EV_CLEAR] → 0x21."""
    total = 0
    for word in words or ():
        total |= word if isinstance(word, int) else FLAGS[word]
    return total


def fflags_number(filter_word: str | int, words: Iterable[str | int] | None) -> int:
    """Names of notes or of an errno, numbers, '0x5' and 'ctrl=0xc0000000' → one number."""
    notes = NOTES.get(str(filter_word), {})
    total = 0
    for word in words or ():
        if isinstance(word, int):
            total |= word
        elif word in notes:
            total |= notes[word]
        elif word.startswith("E"):
            total |= getattr(errno, word)
        else:
            total |= int(word.removeprefix("ctrl="), 16)
    return total


def _spell(number: int, names: Mapping[str, int], prefix: str) -> list[str]:
    words = []
    for name, bit in sorted(names.items(), key=lambda item: item[1]):
        if bit and number & bit == bit:
            words.append(name.removeprefix(prefix))
            number &= ~bit
    if number:
        words.append(hex(number))
    return words


def flags_text(number: int) -> str:
    """0x8020 → CLEAR|EOF."""
    return "|".join(_spell(number, FLAGS, "EV_"))


def fflags_text(filter_word: str | int, flags: int, number: int) -> str:
    """The notes by name; an errno by name where READ and WRITE put one (EV_EOF: S-104, S-105)."""
    if filter_word in ("EVFILT_READ", "EVFILT_WRITE") and flags & EV_EOF and number:
        return errno.errorcode.get(number, hex(number))
    notes = dict(NOTES.get(str(filter_word), {}))
    words: list[str] = []
    if filter_word == "EVFILT_USER":  # two control bits are one of four words, not flags
        control = number & _USER_CONTROL
        words = [n.removeprefix("NOTE_") for n, v in notes.items() if v == control and v]
        number &= ~_USER_CONTROL
        notes = {"NOTE_TRIGGER": notes["NOTE_TRIGGER"]}
    return "|".join(words + _spell(number, notes, "NOTE_"))


def errno_text(number: int) -> str:
    """9 → EBADF.  EOPNOTSUPP, not its twin ENOTSUP: the traces say so."""
    if number == errno.EOPNOTSUPP:
        return "EOPNOTSUPP"
    return errno.errorcode.get(number, str(number))


def signal_number(word: str | int) -> int:
    """SIGUSR1 → 10."""
    return word if isinstance(word, int) else int(signal.Signals[word])


def signal_name(number: int) -> str:
    """10 → SIGUSR1; a number without a name in digits."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return str(number)
