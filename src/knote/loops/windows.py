"""CPython's asyncio.windows_utils and windows_events, as they are, on Linux: they see win32, and nobody else does.

An import statement calls the __import__ of its module's __builtins__.  These two modules get a dictionary of their
own there, whose __import__ gives them a sys that says win32, and knote.interfaces.iocp by Windows' names.  Neither
sys.modules nor any module is changed, so nothing of it can be seen from outside, and there is nothing to undo.
"""

from __future__ import annotations

import builtins
import errno
import importlib
import importlib.machinery
import os
import subprocess
import sys
from types import ModuleType, SimpleNamespace
from typing import Any

from knote.interfaces import iocp
from knote.interfaces.iocp import winapi, winerror


class Popen(subprocess.Popen[Any]):
    """A child that has a handle, as Windows': a pidfd."""

    _knote_pidfd = -1

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Until it is waited for, which only this object does, the number is the child's: it can end, not vanish.
        self._knote_pidfd = os.pidfd_open(self.pid)

    @property
    def _handle(self) -> int:
        return self._knote_pidfd

    def __del__(self, _close: Any = os.close, **kwargs: Any) -> None:
        fd, self._knote_pidfd = self._knote_pidfd, -1
        if fd >= 0:
            _close(fd)
        super().__del__(**kwargs)


class _Seen(ModuleType):
    """A module as it is, but for some names."""

    def __init__(self, real: ModuleType, **names: Any) -> None:
        super().__init__(real.__name__)
        self.__dict__.update(names)
        self.__dict__["_real"] = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_real"], name)


_SHOWN = {
    "sys": _Seen(sys, platform="win32"),
    "errno": _Seen(errno, WSAEINVAL=winerror.WSAEINVAL),
    "subprocess": _Seen(subprocess, Popen=Popen),
    "_overlapped": iocp,
    "_winapi": winapi,
    "msvcrt": winapi,
}


class Windows:
    """What such modules see, and those that were loaded: they see each other.  Threads: any; each has its own."""

    def __init__(self) -> None:
        self._own: dict[str, ModuleType] = {}

    def load(self, name: str) -> ModuleType:
        """A new module of this name, from this interpreter's source.  Raises ImportError when it came without."""
        module = _execute(name, dict(vars(builtins), __import__=self._import))
        self._own[name] = module
        return module

    def _import(
        self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0
    ) -> Any:
        if level == 0 and name in _SHOWN:
            return _SHOWN[name]
        package = name if level == 0 else "asyncio" if level == 1 and not name else ""
        if fromlist and len(fromlist) == 1 and f"{package}.{fromlist[0]}" in self._own:
            return SimpleNamespace(**{fromlist[0]: self._own[f"{package}.{fromlist[0]}"]})
        return builtins.__import__(name, globals, locals, fromlist, level)


def _execute(name: str, its_builtins: dict[str, Any]) -> ModuleType:
    package = importlib.import_module(name.rpartition(".")[0])
    spec = importlib.machinery.PathFinder.find_spec(name, package.__path__)
    code = None
    if spec is not None and isinstance(spec.loader, importlib.machinery.SourceFileLoader):
        code = spec.loader.get_code(name)
    if spec is None or code is None:
        raise ImportError(f"this Python came without {name}, which knote.loops.proactor is made of", name=name)
    module = ModuleType(name)
    module.__dict__.update(
        __builtins__=its_builtins, __file__=spec.origin, __loader__=spec.loader, __package__=package.__name__,
        __spec__=spec,
    )  # fmt: skip
    exec(code, module.__dict__)
    return module
