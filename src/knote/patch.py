"""install() and uninstall(): kqueue, kevent, devpoll and every KQ_* as names of the select module.

Importing knote changes nothing.  install() is what a program calls, once and early, whose libraries say
``select.kqueue()``; everything it does is in this file, and uninstall() takes all of it back.
"""

from __future__ import annotations

import select
import sys
import threading
import weakref
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType

_MISSING: Final = object()


def system_has_kqueue() -> bool:
    """Whether select's kqueue is the system's: BSD and macOS.  One that install() or some other package put
    there says so in its __module__."""
    return getattr(getattr(select, "kqueue", None), "__module__", None) == "select"


def install(*, default_selector: bool = False) -> None:
    """Put kqueue, kevent, devpoll and every KQ_* into the select module, until uninstall().

    default_selector: also make knote.loops.selector.KqueueSelector the selectors.KqueueSelector and the
        selectors.DefaultSelector, which is what asyncio's loops take from then on.  Without it selectors, and
        whoever uses it, stays as it is: it was imported first, when select had no kqueue.
    A select that is imported afresh gets the names again, by a finder in sys.meta_path that answers to no other
    module.  What a module took with ``from select import *`` earlier, it keeps.  Calling again is harmless,
    and puts back what somebody (gevent's monkey patching) removed.  Where the system has a kqueue its own names
    stay, and only those that select lacks are added.
    Threads: any; the whole process sees it.  Source: CPython's select (spec S-325 ... S-327).
    """
    with _installed.lock:
        import selectors

        _installed.start()
        if default_selector:
            from knote.loops.selector import KqueueSelector

            both = ("KqueueSelector", "DefaultSelector")
            _installed.put(selectors, dict.fromkeys(both, KqueueSelector))


def uninstall() -> None:
    """Put back what the last install() found, in every select module that got the names, and in selectors.

    A name that somebody else has set since is left as it is.  Objects made meanwhile go on working.  Calling it
    without an install() does nothing.  Threads: any; the whole process sees it.
    """
    with _installed.lock:
        _installed.stop()


def _names() -> dict[str, object]:
    """What select gets."""
    import knote

    whole = ("kqueue", "kevent", "devpoll")
    wanted = [name for name in knote.__all__ if name in whole or name.startswith("KQ_")]
    return {name: getattr(knote, name) for name in wanted}


class _Installed:
    """What was changed, and what stood there before."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._finder = _Finder(self)
        self._before: weakref.WeakKeyDictionary[ModuleType, dict[str, tuple[object, object]]]
        self._before = weakref.WeakKeyDictionary()

    def start(self) -> None:
        if self._finder not in sys.meta_path:
            sys.meta_path.insert(0, self._finder)
        self.put_select(select)
        now = sys.modules.get("select", select)
        if now is not select:  # imported afresh before the first install()
            self.put_select(now)

    def stop(self) -> None:
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)
        for module, changed in list(self._before.items()):
            for name, (ours, theirs) in changed.items():
                if vars(module).get(name, _MISSING) is ours:
                    if theirs is _MISSING:
                        delattr(module, name)
                    else:
                        setattr(module, name, theirs)
        self._before.clear()

    def put_select(self, module: ModuleType) -> None:
        names = _names()
        if system_has_kqueue():
            names = {name: value for name, value in names.items() if not hasattr(module, name)}
        self.put(module, names)

    def put(self, module: ModuleType, names: Mapping[str, object]) -> None:
        changed = self._before.setdefault(module, {})
        for name, ours in names.items():
            theirs = vars(module).get(name, _MISSING)
            if theirs is not ours:
                changed[name] = (ours, theirs)
                setattr(module, name, ours)


class _Finder:
    """Finds select where the finders behind it find it, and has the names put into it once it is loaded."""

    def __init__(self, installed: _Installed) -> None:
        self._installed = installed

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None, /
    ) -> ModuleSpec | None:
        if fullname != "select":
            return None
        # Those in front were asked already; asking them again would go round in circles with a second finder
        # that does as this one.
        finders = iter(list(sys.meta_path))
        for finder in finders:
            if finder is self:
                break
        for finder in finders:
            find_spec = getattr(finder, "find_spec", None)  # import itself passes over what has none
            spec: ModuleSpec | None = find_spec(fullname, path, target) if find_spec is not None else None
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = cast("Loader", _Loader(spec.loader, self._installed))
                return spec
        return None


class _Loader:
    """Steps aside as soon as it has seen the module loaded: nothing of it stays in the module."""

    def __init__(self, loader: Loader, installed: _Installed) -> None:
        self._loader = loader
        self._installed = installed

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        with self._installed.lock:
            self._installed.put_select(module)


_installed: Final = _Installed()
