"""A select.kqueue as a BSD's CPython has it, made of knote's own queue.

What it takes and gives is what select.kqueue takes and gives: numbers only, in the system's own numbering of
filters, and udata a 64-bit int.  What a BSD's kernel does otherwise than knote it cannot show.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import select
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

import knote
from knote import constants

FILTERS: Final = {
    "freebsd15": {-1: -1, -2: -2, -4: -4, -5: -5, -7: -7, -11: -11},
    "darwin": {-1: -1, -2: -2, -4: -4, -5: -5, -7: -7, -10: -11, -15: constants.EVFILT_EXCEPT},
    "netbsd10": {0: -1, 1: -2, 3: -4, 4: -5, 6: -7, 8: -11},
    "openbsd7": {-1: -1, -2: -2, -4: -4, -5: -5, -7: -7, -10: -11, -9: constants.EVFILT_EXCEPT},
}
"""The system's number → knote's, of the filters that the tests use."""

_FIELD: Final = {0: "NOTE_MSECONDS", 1: "NOTE_SECONDS", 2: "NOTE_USECONDS", 3: "NOTE_NSECONDS"}
_TIMER: Final[dict[str, dict[int, str]]] = {
    "darwin": {0: "NOTE_MSECONDS", 1: "NOTE_SECONDS", 2: "NOTE_USECONDS", 4: "NOTE_NSECONDS"},
    "netbsd10": _FIELD,
    "openbsd7": _FIELD,
}
"""What a timer's fflags mean, where that is not FreeBSD's."""

U64: Final = (1 << 64) - 1


class Fake:
    """The names of one system's select module."""

    def __init__(self, platform: str) -> None:
        filters = FILTERS[platform]
        numbers = {theirs: mine for mine, theirs in filters.items()}

        def notes(change: Any) -> int:
            """knote's number of a timer's unit, which the others have other bits for."""
            theirs = _TIMER.get(platform, {})
            its: int = change.fflags
            if filters[change.filter] != constants.EVFILT_TIMER or not theirs:
                return its
            name = theirs[its & 7 if platform == "darwin" else its & 3]
            absolute = constants.NOTE_ABSTIME if platform != "darwin" and its & 0x10 else 0
            return int(getattr(constants, name)) | absolute

        class kevent:
            __slots__ = ("data", "fflags", "filter", "flags", "ident", "udata")

            def __init__(
                self,
                ident: Any,
                filter: int = numbers[-1],
                flags: int = 1,
                fflags: int = 0,
                data: int = 0,
                udata: int = 0,
            ) -> None:
                checked = knote.kevent(ident, filter, flags, fflags, data, udata)
                assert type(checked.udata) is int, "select.kevent takes a number"
                for name in self.__slots__:
                    setattr(self, name, getattr(checked, name))

            def __repr__(self) -> str:
                words = (f"{name}={getattr(self, name)}" for name in ("ident", "filter", "flags", "data", "udata"))
                return f"<select.kevent {' '.join(words)}>"

        class kqueue:
            def __init__(self) -> None:
                self._queue = knote.kqueue()

            @classmethod
            def fromfd(cls, fd: int, /) -> kqueue:
                self = cls.__new__(cls)
                self._queue = knote.kqueue.fromfd(fd)
                return self

            def control(self, changelist: Any, maxevents: int, timeout: Any = None, /) -> list[kevent]:
                changes = None
                if changelist is not None:
                    changes = list(changelist)
                    if not all(type(change) is kevent for change in changes):
                        raise TypeError("changelist must be an iterable of select.kevent objects")
                    changes = [
                        knote.kevent(c.ident, filters[c.filter], c.flags, notes(c), c.data, c.udata)
                        for c in changes
                    ]
                return [
                    kevent(e.ident, numbers[e.filter], e.flags, e.fflags, e.data, e.udata)
                    for e in self._queue.control(changes, maxevents, timeout)
                ]

            def fileno(self) -> int:
                return self._queue.fileno()

            @property
            def closed(self) -> bool:
                return self._queue.closed

            def close(self) -> None:
                self._queue.close()

        for kind in (kevent, kqueue):
            kind.__module__ = "select"
        self.names: dict[str, Any] = {"kevent": kevent, "kqueue": kqueue}
        for row in (*constants.FILTERS, *constants.FLAGS, *constants.NOTES):
            if row.cpython and row.name not in ("EVFILT_NETDEV", "NOTE_LINKUP", "NOTE_LINKDOWN", "NOTE_LINKINV"):
                self.names[constants.kq_name(row)] = row.value
        if platform.startswith("netbsd"):
            order = ("READ", "WRITE", "AIO", "VNODE", "PROC", "SIGNAL", "TIMER")
            self.names.update((f"KQ_FILTER_{word}", number) for number, word in enumerate(order))


@contextlib.contextmanager
def imported(platform: str) -> Iterator[ModuleType]:
    """knote, imported anew as on that system; as it was afterwards.  For a look at names: the fake's queue belongs
    to the knote that is not there meanwhile."""
    ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.partition(".")[0] == "knote"}
    try:
        with _system(platform):
            import knote as anew
        with _names(platform):
            yield anew
    finally:
        for name in [name for name in sys.modules if name.partition(".")[0] == "knote"]:
            del sys.modules[name]
        sys.modules.update(ours)


@contextlib.contextmanager
def made(platform: str) -> Iterator[ModuleType]:
    """A knote beside the real one, with the kqueue, kevent and numbers of knote/native.py on that system."""
    with _system(platform):
        native = load("knote.native")
    module = ModuleType("knote")
    vars(module).update(vars(knote), __all__=list(knote.__all__), kqueue=native.kqueue, kevent=native.kevent)
    native.renumber(vars(module))
    with _names(platform):
        yield module


@contextlib.contextmanager
def interfaces(platform: str) -> Iterator[Callable[[str], Any]]:
    """The modules of knote.interfaces on made()'s knote, by name; from their sources, for no BSD has a compiled
    build."""
    with made(platform) as module:
        module.__path__ = knote.__path__  # type: ignore[attr-defined]
        ours = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("knote.interfaces")}
        ours["knote"] = sys.modules["knote"]
        sys.modules["knote"] = module
        finder: Any = _Sources()
        sys.meta_path.insert(0, finder)
        try:
            yield importlib.import_module
        finally:
            sys.meta_path.remove(finder)
            for name in [name for name in sys.modules if name.startswith("knote.interfaces")]:
                del sys.modules[name]
            sys.modules.update(ours)


class _Sources:
    """Finds a module of knote.interfaces by its .py, whatever else is beside it."""

    def find_spec(self, name: str, path: Any, target: Any = None, /) -> Any:
        if not name.startswith("knote.interfaces"):
            return None
        base = Path(knote.__path__[0]).joinpath(*name.split(".")[1:])
        if base.is_dir():
            return importlib.util.spec_from_file_location(
                name, base / "__init__.py", submodule_search_locations=[str(base)]
            )
        return importlib.util.spec_from_file_location(name, base.with_suffix(".py"))


def load(name: str) -> Any:
    """A second copy of one of knote's modules, which nobody else sees."""
    spec = importlib.util.find_spec(name)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@contextlib.contextmanager
def _names(platform: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in Fake(platform).names.items():
            patch.setattr(select, name, value, raising=False)
        yield


@contextlib.contextmanager
def _system(platform: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch, _names(platform):
        patch.setattr(sys, "platform", platform)
        yield
