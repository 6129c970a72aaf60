# cython: annotation_typing=False
"""The record that goes in and comes out: struct kevent, as CPython's select.kevent shows it."""

from __future__ import annotations

import operator
from typing import Any, Protocol, SupportsIndex

from knote import constants, words
from knote._kernel.spares import follow, keep
from knote.sealed import seal


class HasFileno(Protocol):
    """Anything with a descriptor: a socket, a file, another kqueue."""

    def fileno(self) -> int: ...


_U64 = 0xFFFF_FFFF_FFFF_FFFF


def _ident_of(ident: int | HasFileno) -> int:
    if isinstance(ident, int):
        if ident < 0:
            raise OverflowError("can't convert negative value to unsigned int")
        if ident > _U64:
            raise OverflowError("Python int too large for C kqueue event identifier")
        return int(ident)
    try:
        fileno = ident.fileno
    except AttributeError:
        raise TypeError("argument must be an int, or have a fileno() method.") from None
    fd = fileno()
    if not isinstance(fd, int):
        raise TypeError("fileno() returned a non-integer")
    if fd < 0:
        raise ValueError(f"file descriptor cannot be a negative integer ({fd})")
    return fd


def _filter_of(number: SupportsIndex) -> int:
    value = operator.index(number)
    if value > 0x7FFF:
        raise OverflowError("signed short integer is greater than maximum")
    if value < -0x8000:
        raise OverflowError("signed short integer is less than minimum")
    return value


def _data_of(number: SupportsIndex) -> int:
    value = operator.index(number)
    if not -(1 << 63) <= value < 1 << 63:
        raise OverflowError("int too big to convert")
    return value


def _udata_of(udata: Any) -> Any:
    # CPython keeps a void pointer, so its ints are masked to 64 bits; what is no int is knote's own and
    # stays the object that it is.
    if isinstance(udata, int) and (type(udata) is not int or not 0 <= udata <= _U64):
        return int(udata) & _U64
    return udata


class kevent:
    """One change or one event: (ident, filter, flags, fflags, data, udata).

    ident: int in 0 ... 2**64-1, or an object with fileno().  filter: EVFILT_*, in 16 bits.  flags: EV_*,
        masked to 16 bits.  fflags: NOTE_*, masked to 32 bits.  data: int in 64 bits, its unit and meaning the
        filter's.  udata: handed back with each event; an int is masked to 64 bits, any other object is
        kept as it is.
    Raises TypeError for a wrong type, OverflowError out of range, ValueError for a negative fileno().
    Attributes can be assigned, with the same conversions.  Compares by the six fields in order; not hashable.
    Threads: as any plain object; control() reads it once, at its start.
    Source: kqueue(2); CPython's select.kevent (spec S-313 ... S-324).
    """

    __slots__ = ("_data", "_fflags", "_filter", "_flags", "_ident", "_udata")

    def __init__(
        self,
        ident: int | HasFileno,
        filter: SupportsIndex = constants.EVFILT_READ,
        flags: SupportsIndex = constants.EV_ADD,
        fflags: SupportsIndex = 0,
        data: SupportsIndex = 0,
        udata: Any = 0,
    ) -> None:
        self._ident = _ident_of(ident)
        self._filter = _filter_of(filter)
        self._flags = operator.index(flags) & 0xFFFF
        self._fflags = operator.index(fflags) & 0xFFFF_FFFF
        self._data = _data_of(data)
        self._udata = _udata_of(udata)
        if type(self._udata) is not int:
            follow(self)

    @property
    def ident(self) -> int:
        """What is watched; a descriptor, a pid, a signal number, or a number of the program's choice."""
        return self._ident

    @ident.setter
    def ident(self, value: int | HasFileno) -> None:
        self._ident = _ident_of(value)

    @property
    def filter(self) -> int:
        """EVFILT_*."""
        return self._filter

    @filter.setter
    def filter(self, value: SupportsIndex) -> None:
        self._filter = _filter_of(value)

    @property
    def flags(self) -> int:
        """EV_*: actions on the way in, state on the way out."""
        return self._flags

    @flags.setter
    def flags(self, value: SupportsIndex) -> None:
        self._flags = operator.index(value) & 0xFFFF

    @property
    def fflags(self) -> int:
        """NOTE_*, or with EV_EOF the socket's error."""
        return self._fflags

    @fflags.setter
    def fflags(self, value: SupportsIndex) -> None:
        self._fflags = operator.index(value) & 0xFFFF_FFFF

    @property
    def data(self) -> int:
        """The filter's number; with EV_ERROR an errno."""
        return self._data

    @data.setter
    def data(self, value: SupportsIndex) -> None:
        self._data = _data_of(value)

    @property
    def udata(self) -> Any:
        """The program's own."""
        return self._udata

    @udata.setter
    def udata(self, value: Any) -> None:
        self._udata = _udata_of(value)
        if type(self._udata) is not int:
            follow(self)

    def _fields(self) -> tuple[int, int, int, int, int, Any]:
        return (self._ident, self._filter, self._flags, self._fflags, self._data, self._udata)

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

    __hash__ = None  # type: ignore[assignment]  # as select.kevent: mutable and compared by value (S-322)

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle 'kevent' object")

    def __repr__(self) -> str:
        udata = hex(self._udata) if type(self._udata) is int else repr(self._udata)
        return (
            f"<select.kevent ident={self._ident} filter={self._filter} flags={self._flags:#x} "
            f"fflags={self._fflags:#x} data={self._data & _U64:#x} udata={udata}>"
        )

    def __str__(self) -> str:
        parts = [
            constants.filter_text(self._filter),
            words.ident_text(self._filter, self._ident),
            words.data_text(self._filter, self._flags, self._fflags, self._data),
            constants.flags_text(self._flags),
            words.fflags_text(self._filter, self._flags, self._fflags),
        ]
        if type(self._udata) is not int or self._udata:
            parts.append(f"udata={self._udata!r}")
        return " ".join(part for part in parts if part)


seal(kevent)
keep(kevent)
