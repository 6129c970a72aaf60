"""CPython's mixins, which its test modules bind to a ProactorEventLoop where sys.platform says win32: here, ours.

Imported before choose(), it has no tests.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any


def choose(ours: bool) -> Any:
    """Make the test cases, of knote's loop or, to find out what the machine cannot do, of asyncio's own."""
    import asyncio

    if ours:
        from knote.loops.proactor import ProactorEventLoop

        loop: Any = ProactorEventLoop
    else:
        loop = asyncio.SelectorEventLoop
    asyncio.ProactorEventLoop = loop  # type: ignore[attr-defined]  # some modules look for it when they are imported
    module = {name: importlib.import_module(f"test.test_asyncio.test_{name}") for name in _MODULES}
    utils = importlib.import_module("test.test_asyncio.utils")
    own = {"create_event_loop": staticmethod(loop), "__module__": __name__}

    def bind(name: str, *mixins: Any, **names: Any) -> None:
        globals()[name] = type(name, (*mixins, utils.TestCase), own | names)

    events = module["events"]
    bind("Events", events.EventLoopTestsMixin, events.SubprocessTestsMixin)
    bind("SockLowlevel", module["sock_lowlevel"].BaseSockTestsMixin)
    bind("Sendfile", module["sendfile"].SendfileTestsBase)
    bind("Subprocesses", module["subprocess"].SubprocessMixin, setUp=_with_a_loop(utils, loop))
    bind(
        "SockSendfile",
        module["proactor_events"].ProactorEventLoopUnixSockSendfileTests,
        __unittest_skip__=False,
    )
    if ours:
        for name in ("windows_events", "windows_utils"):
            globals()[name] = _shown_windows(name)
    return loop


_MODULES = ("events", "proactor_events", "sendfile", "sock_lowlevel", "subprocess")


def _with_a_loop(utils: Any, loop: Any) -> Any:
    def setUp(self: Any) -> None:
        utils.TestCase.setUp(self)
        self.loop = loop()
        self.set_event_loop(self.loop)

    return setUp


def _shown_windows(name: str) -> ModuleType:
    """A test module that wants win32, loaded as knote loads what it tests."""
    from knote.loops import proactor

    return proactor.modules.load(f"test.test_asyncio.test_{name}")


def load_tests(loader: Any, tests: Any, pattern: Any) -> Any:
    """unittest's protocol: of the modules, too."""
    for name in ("windows_events", "windows_utils"):
        module = globals().get(name)
        if module is not None:
            tests.addTests(loader.loadTestsFromModule(module))
    return tests


