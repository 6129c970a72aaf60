"""The system's own kqueue, where it has one: BSD and macOS.

knote's names then mean what the system's headers say: kqueue and kevent act through select.kqueue, constants
have the system's numbers, EVFILT_USER and what else select leaves out among them, and a name that the system has
no number for is not there.  Nothing of this is compiled, and of the rest of knote only what stands on these names
runs.

What a system without kqueue can show of this file, tests/dropin/test_native.py shows on a select.kqueue made of
knote's own queue.  On a BSD or a Mac it has not run yet.

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

from knote import constants, errors, inside
from knote.inside import Registration
from knote.ledger import Ledger

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
        "EVFILT_EXCEPT": -9, "EVFILT_USER": -10, "EV_SYSFLAGS": 0xF800,
        "NOTE_OOB": 0x0004, "NOTE_TRUNCATE": 0x0080,
    },
    "dragonfly": {**_EVERYWHERE, "EVFILT_EXCEPT": -8, "EVFILT_USER": -9, "NOTE_OOB": 0x0002},
}  # fmt: skip
"""The numbers of each system, by the beginning of sys.platform.  That a name stands here says that the newest
release has it; an older kernel answers EINVAL."""


def numbers(platform: str) -> dict[str, int]:
    """BSD name → number.  What select itself says goes before the tables, and is all there is for a system that
    they do not know."""
    known = next((table for name, table in SYSTEMS.items() if platform.startswith(name)), {})
    found = {}
    for row in _ROWS:
        number = known.get(row.name)
        if row.cpython:
            number = getattr(_system, constants.kq_name(row), number)
        if number is not None:
            found[row.name] = number
    return found


PLATFORM: Final = sys.platform
NUMBERS: Final = numbers(PLATFORM)

_READ: Final = NUMBERS.get("EVFILT_READ", constants.EVFILT_READ)
_FILTERS: Final = {NUMBERS[row.name]: row for row in constants.FILTERS if row.name in NUMBERS}
_FLAGS: Final = [row.name for row in constants.FLAGS if row.name not in ("EV_SYSFLAGS", "EV_FLAG1")]


def renumber(namespace: MutableMapping[str, Any]) -> None:
    """Give knote's constants the system's numbers, and take away those that it has none for."""
    absent: set[str] = set()
    for row in _ROWS:
        for name in {row.name, constants.kq_name(row)}:
            if row.name in NUMBERS:
                namespace[name] = NUMBERS[row.name]
            else:
                namespace.pop(name, None)
                absent.add(name)
    namespace["__all__"] = [name for name in namespace["__all__"] if name not in absent]
    others = namespace["__getattr__"]

    def __getattr__(name: str) -> Any:
        if name in absent:
            raise AttributeError(f"module 'knote' has no attribute {name!r}: {PLATFORM} has no number for it")
        return others(name)

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
_FIELDS: Final = operator.attrgetter("ident", "filter", "flags", "fflags", "data")


def _field(name: str, text: str) -> Any:
    """A property that is the same attribute of the system's kevent."""

    def put(self: kevent, value: Any) -> None:
        setattr(self._raw, name, value)

    return property(lambda self: getattr(self._raw, name), put, doc=text)


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
        filter: SupportsIndex = _READ,
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

    ident: int = _field("ident", "What is watched.")
    filter: int = _field("filter", "EVFILT_*.")
    flags: int = _field("flags", "EV_*.")
    fflags: int = _field("fflags", "NOTE_*.")
    data: int = _field("data", "The filter's number; with EV_ERROR an errno.")

    def _fields(self) -> tuple[Any, ...]:
        return (*_FIELDS(self._raw), self.udata)

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
        words = [_text(self)]
        if self._object is not _NONE or self._raw.udata:
            words.append(f"udata={self.udata!r}")
        return " ".join(words)


def _text(it: kevent | Registration) -> str:
    row = _FILTERS.get(it.filter)
    notes = [note.name for note in constants.NOTES_OF.get(row.value, ())] if row else []
    words = [
        row.name.removeprefix("EVFILT_") if row else f"filter {it.filter}",
        f"{constants.ident_text(row.value) if row else 'ident'}={it.ident}",
        f"data={it.data}",
        _words(it.flags, _FLAGS),
        _words(it.fflags, notes),
    ]
    return " ".join(word for word in words if word)


class _Registration(Registration):
    __slots__ = ()

    def __str__(self) -> str:
        words = [_text(self), f"udata={self.udata!r}" if self.udata else "", "" if self.enabled else "disabled"]
        return " ".join(word for word in [*words, f"hits={self.hits}"] if word)


_TOKEN: Final = 1 << (8 * struct.calcsize("P") - 1)
_EV_KEEPUDATA: Final = NUMBERS.get("EV_KEEPUDATA", 0)


class _Objects:
    """The objects given as udata.  The kernel keeps a pointer, and hands it back; it gets a token for each."""

    __slots__ = ("__weakref__", "_by_token", "_lock", "_token_of", "ledger")

    def __init__(self) -> None:
        self.ledger = Ledger(_Registration)
        self._lock = threading.Lock()
        self._by_token: dict[int, Any] = {}
        self._token_of: dict[tuple[int, int], int] = {}

    def keep(self, changes: Sequence[kevent]) -> tuple[list[Any], list[tuple[int, int]]]:
        """Before the call: the system's kevents, with a token for each object, and the knotes that they delete."""
        raws = []
        deleted: dict[tuple[int, int], None] = {}
        with self._lock:
            for change in changes:
                raw = change._raw
                key = (change.ident, change.filter)
                deleted.pop(key, None)
                if change.flags & constants.EV_DELETE:
                    deleted[key] = None
                elif not change.flags & _EV_KEEPUDATA:
                    self._forget(key)
                    if change._object is not _NONE:
                        token = _TOKEN | next(_tokens)
                        # A copy: the program's own may be in another thread's call, too.
                        raw = _system.kevent(*_FIELDS(raw), token)
                        self._by_token[token] = change._object
                        self._token_of[key] = token
                raws.append(raw)
        return raws, list(deleted)

    def drop(self, keys: Iterable[tuple[int, int]]) -> None:
        """After the call: what belonged to knotes that are no more."""
        with self._lock:
            for key in keys:
                self._forget(key)

    def find(self, raw: Any) -> Any:
        """The object of an event, or _NONE.  One that was under way while another thread gave its knote other
        udata comes with that."""
        key = (raw.ident, raw.filter)
        with self._lock:
            token = raw.udata if raw.udata in self._by_token else self._token_of.get(key, 0)
            found = self._by_token.get(token, _NONE)
            if raw.flags & constants.EV_ONESHOT and not raw.flags & constants.EV_ERROR:
                # It went with this event; if it was added again meanwhile, it has another token.
                if self._token_of.get(key) == token:
                    del self._token_of[key]
                self._by_token.pop(token, None)
        return found

    def clear(self) -> None:
        """The queue is closed."""
        self.ledger.clear()
        with self._lock:
            self._by_token.clear()
            self._token_of.clear()

    def _forget(self, key: tuple[int, int]) -> None:
        self._by_token.pop(self._token_of.pop(key, 0), None)


_TRACE: Final = inside.tracer(str)
_tokens: Final = itertools.count(1)
_objects: Final[weakref.WeakValueDictionary[int, _Objects]] = weakref.WeakValueDictionary()
"""By descriptor number, so that handles made by fromfd() share them."""


def _changes(changelist: Iterable[kevent]) -> list[kevent]:
    try:
        changes = list(changelist)
    except TypeError:
        if hasattr(type(changelist), "__iter__") or hasattr(type(changelist), "__getitem__"):
            raise
        raise errors.not_a_list() from None
    for change in changes:
        if not isinstance(change, kevent):
            raise errors.not_a_kevent()
    return changes


def _event(raw: Any, found: Any) -> kevent:
    event = kevent.__new__(kevent)
    event._raw = raw
    event._object = found
    return event


class kqueue:
    """The system's kernel event queue: kqueue(2), with select.kqueue's methods, also usable in a with statement.

    engine: 'kqueue', the only one here; None takes $KNOTE_ENGINE or that one.  strict: this kernel always is.
    udata may be any object.  The kernel keeps a pointer, so an object stays here, under a number above
        2**63 that the kernel gets in its place, until its knote is deleted, delivered once with EV_ONESHOT, given
        other udata, or the queue closed.  A knote that vanishes because its descriptor is closed holds its object
        until the number is used again.  To a queue that C code or another process shares, give ints.
    Raises OSError when no descriptor can be made, ValueError for an engine that is not there.
    Threads: any number may use one object at once.  After a fork: as the system's (closed from CPython 3.12.1 on).
    Source: kqueue(2) of the system; CPython's select.kqueue (spec S-288 ... S-296).
    """

    __slots__ = ("__weakref__", "_objects", "_queue")

    def __init__(self, *, engine: str | None = None, strict: bool | None = None) -> None:
        wanted = engine or os.environ.get("KNOTE_ENGINE") or ENGINE
        if wanted != ENGINE:
            raise errors.unknown_engine(wanted, [ENGINE])
        self._queue: Any = _system.kqueue()
        # A number that is used again names a new queue, with nothing in it yet.
        self._objects = _objects[self._queue.fileno()] = _Objects()

    def __init_subclass__(cls) -> None:
        raise TypeError("type 'knote.kqueue' is not an acceptable base type")

    @classmethod
    def fromfd(cls, fd: int, /) -> kqueue:
        """Another handle on the queue whose descriptor number is fd, as select.kqueue.fromfd()."""
        handle = cls.__new__(cls)
        handle._queue = _system.kqueue.fromfd(fd)
        handle._objects = _objects.setdefault(handle._queue.fileno(), _Objects())
        return handle

    def control(
        self, changelist: Iterable[kevent] | None, maxevents: int, timeout: float | None = None, /
    ) -> list[kevent]:
        """Apply the changes in order, then return up to maxevents events: select.kqueue.control().

        timeout: seconds, int or float; None waits for ever, 0 polls.
        Raises what the system's does: ValueError when closed, for maxevents < 0 or timeout < 0; TypeError for
        what is no kevent; OSError with the errno of a change that there was no room to report.
        Threads: any number may call at once.  Source: kqueue(2) of the system.
        """
        changes = None if changelist is None else _changes(changelist)
        if _TRACE is None:
            return self._control(changes, maxevents, timeout)
        return _TRACE.call(self.fileno(), self._control, changes, maxevents, timeout)

    def _control(self, changes: list[kevent] | None, maxevents: int, timeout: float | None) -> list[kevent]:
        if changes is None:
            raws = self._queue.control(None, maxevents, timeout)
        else:
            theirs, deleted = self._objects.keep(changes)
            raws = self._queue.control(theirs, maxevents, timeout)
            self._objects.drop(deleted)
            self._objects.ledger.applied(changes, raws)
        events = [_event(raw, self._objects.find(raw)) for raw in raws]
        self._objects.ledger.returned(raws)
        return events

    def knotes(self) -> list[Registration]:
        """Every registration: filter, ident, flags, notes, data, udata, enabled, hits.

        As far as this process knows: no BSD tells.  One that went because its descriptor was closed is still
        listed, those of a list of several changes that raised are not, and pending is always False.
        Raises ValueError when closed.  Threads: any.
        """
        self.fileno()
        return self._objects.ledger.all()

    def fileno(self) -> int:
        """The descriptor number.  ValueError when closed."""
        return int(self._queue.fileno())

    @property
    def closed(self) -> bool:
        """True after close()."""
        return bool(self._queue.closed)

    def close(self) -> None:
        """Close the descriptor, which deletes every knote, and let go of every object.  Idempotent."""
        self._queue.close()
        self._objects.clear()

    def __enter__(self) -> kqueue:
        if self.closed:
            raise errors.closed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> Any:
        raise TypeError("cannot pickle 'knote.kqueue' object")

    def __repr__(self) -> str:
        return "<knote.kqueue closed>" if self.closed else f"<knote.kqueue fd={self.fileno()}>"
