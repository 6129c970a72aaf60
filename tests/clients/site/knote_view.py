"""What a client is shown: select with a kqueue, and a platform on which it would choose that one.

A client chooses its back end by a platform test: sys.platform, or whether select has epoll.  The modules of the
packages in KNOTE_VIEW get their own view of those modules from ``import``: the real module, but for the names
that the test asks for.  Everybody else, the standard library first, sees the Linux that it runs on, and the
client's sources are as they came from PyPI.
"""

import builtins
import importlib
import json
import os
import types

import knote


class View(types.ModuleType):
    """A module that hides some names, shows some others, and is otherwise the module behind it."""

    def __init__(self, module, shown, hidden):
        super().__init__(module.__name__)
        vars(self).update(__spec__=module.__spec__, _module=module, _hidden=frozenset(hidden), **shown)

    def __getattr__(self, name):
        if name in self._hidden:
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r} where this client runs")
        return getattr(self._module, name)

    def __setattr__(self, name, value):
        setattr(self._module, name, value)

    def __delattr__(self, name):
        delattr(self._module, name)

    def __dir__(self):
        return [name for name in dir(self._module) if name not in self._hidden]


def views(shown, hidden):
    """Module name → View, of {"sys.platform": value} and ["select.epoll"]."""
    found = {}
    for name in {path.partition(".")[0] for path in [*shown, *hidden]}:
        prefix = name + "."
        found[name] = View(
            importlib.import_module(name),
            {path.removeprefix(prefix): value for path, value in shown.items() if path.startswith(prefix)},
            [path.removeprefix(prefix) for path in hidden if path.startswith(prefix)],
        )
    return found


def show(packages, found):
    """From here on modules of *packages* import views."""
    ordinary = builtins.__import__

    def __import__(name, globals=None, locals=None, fromlist=(), level=0):
        module = ordinary(name, globals, locals, fromlist, level)
        if globals and not level and name.partition(".")[0] in found:
            if globals.get("__name__", "").partition(".")[0] in packages:
                return found.get(module.__name__, module)
        return module

    builtins.__import__ = __import__


def freebsd():
    """The answers of a system on which every client looks for a kqueue."""
    release = "14.1-RELEASE"
    told = os.uname_result(("FreeBSD", os.uname().nodename, release, f"FreeBSD {release} GENERIC", "amd64"))
    return {"sys.platform": "freebsd14", "os.uname": lambda: told}


def start():
    asked = json.loads(os.environ["KNOTE_VIEW"])
    knote.install()
    if asked["packages"]:
        show(frozenset(asked["packages"]), views(freebsd(), asked["hidden"]))
