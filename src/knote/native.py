"""The system's own kqueue, where it has one: BSD and macOS.

knote's names then mean what the system's headers say: kqueue and kevent act through select.kqueue, constants have
the system's numbers, EVFILT_USER and what else select leaves out among them, and a name that the system has no
number for is not there.  Nothing of this is compiled, and of the rest of knote only what stands on these names runs.

What a kernel without kqueue can show of this file is shown by tests/dropin/test_native.py, on a select.kqueue made
of knote's own queue; on a BSD or a Mac it has not run yet.

Source: sys/event.h of FreeBSD 15, macOS 15, NetBSD 10, OpenBSD 7 and DragonFly 6; spec 1.2-1.9.
"""

from __future__ import annotations

import itertools
import operator
import os
import select
import struct
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Any, Final, SupportsIndex

from knote import constants, errors

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableMapping, Sequence
    from types import TracebackType

    from knote.kevent import HasFileno

_system: Any = select
"""select, for checkers that know the system they run on and no other."""

ENGINE: Final = "kqueue"

_ROWS: Final = (*constants.FILTERS, *constants.FLAGS, *constants.NOTES)


def _of(rows: Iterable[constants.Row]) -> dict[str, int]:
    return {row.name: row.value for row in rows}


_EVERYWHERE: Final = {
    **_of(row for row in _ROWS if row.cpython and row.origin == "FreeBSD"),
    **_of(row for row in (*constants.USER_NOTES, *constants.FS_NOTES)),
}
_EV_TELL: Final = {"EV_RECEIPT": 0x0040, "EV_DISPATCH": 0x0080}
_NOTES_OPENED: Final = {
    "NOTE_OPEN": 0x0080,
    "NOTE_CLOSE": 0x0100,
    "NOTE_CLOSE_WRITE": 0x0200,
    "NOTE_READ": 0x0400,
}
# The unit is a number in the lowest two bits here, where FreeBSD has a bit for each.
_TIMER_FIELD: Final = {
    "NOTE_MSECONDS": 0,
    "NOTE_SECONDS": 1,
    "NOTE_USECONDS": 2,
    "NOTE_NSECONDS": 3,
    "NOTE_ABSTIME": 0x10,
}
SYSTEMS: Final[dict[str, dict[str, int]]] = {
    "freebsd": _of(row for row in _ROWS if row.origin == "FreeBSD"),
    "darwin": {row.name: row.macos for row in _ROWS if row.macos is not None},
    "netbsd": {
        **_EVERYWHERE, **_EV_TELL, **_NOTES_OPENED, **_TIMER_FIELD,
        "EVFILT_READ": 0, "EVFILT_WRITE": 1, "EVFILT_AIO": 2, "EVFILT_VNODE": 3, "EVFILT_PROC": 4,
        "EVFILT_SIGNAL": 5, "EVFILT_TIMER": 6, "EVFILT_FS": 7, "EVFILT_USER": 8, "EVFILT_EMPTY": 9,
    },
    "openbsd": {
        **_EVERYWHERE, **_EV_TELL, **_TIMER_FIELD,
        "EVFILT_EXCEPT": -9, "EVFILT_USER": -10, "EV_SYSFLAGS": 0xF800, "NOTE_OOB": 0x0004, "NOTE_TRUNCATE": 0x0080,
    },
    "dragonfly": {**_EVERYWHERE, "EVFILT_EXCEPT": -8, "EVFILT_USER": -9, "NOTE_OOB": 0x0002},
}  # fmt: skip
"""The numbers of each system, by the beginning of sys.platform.  That a name stands here says that the newest release
has it; an older kernel answers EINVAL."""


def numbers(platform: str) -> dict[str, int]:
    """BSD name → number.  What select itself says goes before the tables, and is all there is for a system that they
    do not know."""
    known = next((table for name, table in SYSTEMS.items() if platform.startswith(name)), {})
    found = {}
    for row in _ROWS:
        number = getattr(_system, constants.kq_name(row), known.get(row.name)) if row.cpython else known.get(row.name)
        if number is not None:
            found[row.name] = number
    return found


NUMBERS: Final = numbers(sys.platform)

_FILTERS: Final = {NUMBERS[row.name]: row for row in constants.FILTERS if row.name in NUMBERS}
_FLAGS: Final = [row.name for row in constants.FLAGS if row.name not in ("EV_SYSFLAGS", "EV_FLAG1")]


def renumber(namespace: MutableMapping[str, Any]) -> None:
    """Give knote's constants the system's numbers, and take away those that it has none for."""
    absent = set()
    for row in _ROWS:
        for name in {row.name, constants.kq_name(row)}:
            if row.name in NUMBERS:
                namespace[name] = NUMBERS[row.name]
            else:
                namespace.pop(name, None)
                absent.add(name)
    namespace["__all__"] = [name for name in namespace["__all__"] if name not in absent]

    def __getattr__(name: str) -> Any:
        why = f": {sys.platform} has no number for it" if name in absent else ""
        raise AttributeError(f"module {namespace['__name__']!r} has no attribute {name!r}{why}")

    namespace["__getattr__"] = __getattr__


def _words(value: int, names: Iterable[str]) -> str:
    """'CLEAR|EOF'; bits without a name in hex; '' for 0."""
    words = []
    # NetBSD's and OpenBSD's NOTE_NSECONDS has the bits of two other units: the name that says most comes first.
    for name in sorted(names, key=lambda name: -NUMBERS.get(name, 0).bit_count()):
        bits = NUMBERS.get(name, 0)
        if bits and value & bits == bits:
            words.append(name.removeprefix("EV_").removeprefix("NOTE_"))
            value &= ~bits
    return "|".join(words + ([hex(value)] if value else []))


_NONE: Final = object()


class kevent:
    """One change or one event: (ident, filter, flags, fflags, data, udata), as the system's select.kevent.

    Types, ranges and errors are those of select.kevent.  udata may be any object, too; see kqueue.
    Attributes can be assigned.  Compares by the six fields in order; not hashable.
    Threads: as any plain object.  Source: CPython's select.kevent (spec S-313 ... S-324).
    """

    __slots__ = ("_object", "_raw")

    def __init__(
        self,
        ident: int | HasFileno,
        filter: SupportsIndex = NUMBERS.get("EVFILT_READ", constants.EVFILT_READ),
        flags: SupportsIndex = constants.EV_ADD,
        fflags: SupportsIndex = 0,
        data: SupportsIndex = 0,
        udata: Any = 0,
    ) -> None:
        self._raw = _system.kevent(ident, filter, flags, fflags, data, udata if isinstance(udata, int) else 0)
        self._object = _NONE if isinstance(udata, int) else udata

    def __init_subclass__(cls) -> None:
        raise TypeError("type 'knote.kevent' is not an acceptable base type")

    @property
    def udata(self) -> Any:
        """The program's own."""
        return self._raw.udata if self._object is _NONE else self._object

    @udata.setter
    def udata(self, value: Any) -> None:
        self._raw.udata = value if isinstance(value, int) else 0
        self._object = _NONE if isinstance(value, int) else value

    def __getattr__(self, name: str) -> Any:
        if name in _FIELDS:
            return getattr(self._raw, name)
        raise AttributeError(f"'knote.kevent' object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIELDS:
            setattr(self._raw, name, value)
        else:
            object.__setattr__(self, name, value)

    if TYPE_CHECKING:
        ident: int
        filter: int
        flags: int
        fflags: int
        data: int

    def _fields(self) -> tuple[Any, ...]:
        return (*(getattr(self._raw, name) for name in _FIELDS), self.udata)

    def __eq__(self, other: object) -> Any:
        return self._fields() == other._fields() if isinstance(other, kevent) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return self._fields() != other._fields() if isinstance(other, kevent) else NotImplemented

    def __lt__(self, other: object) -> Any:
        return self._fields() < other._fields() if isinstance(other, kevent) else NotImplemented

    def __le__(self, other: object) -> Any:
        return self._fields() <= other._fields() if isinstance(other, kevent) else NotImplemented

    def __gt__(self, other: object) -> Any:
        return self._fields() > other._fields() if isinstance(other, kevent) else NotImplemented

    def __ge__(self, other: object) -> Any:
        return self._fields() >= other._fields() if isinstance(other, kevent) else NotImplemented

    __hash__ = None  # type: ignore[assignment]  # as select.kevent (S-322)

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle 'kevent' object")

    def __repr__(self) -> str:
        if self._object is _NONE:
            return repr(self._raw)
        return f"{repr(self._raw).rpartition(' udata=')[0]} udata={self._object!r}>"

    def __str__(self) -> str:
        row = _FILTERS.get(self.filter)
        words = [
            row.name.removeprefix("EVFILT_") if row else f"filter {self.filter}",
            f"{constants.ident_text(row.value) if row else 'ident'}={self.ident}",
            f"data={self.data}",
            _words(self.flags, _FLAGS),
            _words(self.fflags, (note.name for note in constants.notes_of(row.value)) if row else ()),
        ]
        if self._object is not _NONE or self._raw.udata:
            words.append(f"udata={self.udata!r}")
        return " ".join(word for word in words if word)
