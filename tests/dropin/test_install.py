"""install() and uninstall(): select with kqueue in it, selectors as it was unless asked, everything taken back.

What depends on the order of imports runs in an interpreter of its own.
"""

from __future__ import annotations

import importlib
import select
import selectors
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from types import ModuleType
from typing import Any, Final

import pytest

import knote
from tests.support import waiting

DYNAMIC: Any = select
"""select, for names that checkers do not know on this system."""
KQ: Final = sorted(name for name in knote.__all__ if name.startswith("KQ_"))


@pytest.fixture(autouse=True)
def _as_it_was() -> Iterator[None]:
    before = dict(vars(select)), dict(vars(selectors)), list(sys.meta_path)
    yield
    knote.uninstall()
    assert (dict(vars(select)), dict(vars(selectors)), list(sys.meta_path)) == before


def alone(code: str) -> str:
    """What the code prints in an interpreter of its own."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=20 * waiting.SOON,
        check=False,
    )
    assert not done.returncode, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def test_names_are_in_select() -> None:
    """S-325: kqueue, kevent, and each constant with its value; Solaris' devpoll."""
    knote.install()
    assert DYNAMIC.devpoll is knote.devpoll
    assert DYNAMIC.kqueue is knote.kqueue
    assert DYNAMIC.kevent is knote.kevent
    for name in KQ:
        assert getattr(select, name) == getattr(knote, name), name


def test_only_cpython_spellings() -> None:
    before = set(vars(select))
    knote.install()
    assert set(vars(select)) - before == {"kqueue", "kevent", "devpoll", *KQ}


def test_a_program_for_bsd_runs_unchanged() -> None:
    code = """
        import knote
        knote.install()

        import os, select
        r, w = os.pipe()
        os.write(w, b"abc")
        queue = select.kqueue()
        change = select.kevent(r, select.KQ_FILTER_READ, select.KQ_EV_ADD | select.KQ_EV_CLEAR)
        for event in queue.control([change], 4, 1):
            print(event.ident == r, event.filter == select.KQ_FILTER_READ, event.data)
    """
    assert alone(code) == "True True 3"


def test_selectors_stays_as_it_was() -> None:
    """S-327, imported before or after."""
    knote.install()
    assert selectors.DefaultSelector is selectors.EpollSelector
    assert not hasattr(selectors, "KqueueSelector")


@pytest.mark.parametrize("first", ["selectors", "asyncio", "subprocess", "knote"])
@pytest.mark.parametrize("asked", [False, True])
def test_either_order_of_imports(first: str, asked: bool) -> None:
    code = f"""
        import {first}
        import knote
        knote.install(default_selector={asked})
        import selectors, asyncio
        print(selectors.DefaultSelector.__name__, hasattr(selectors, "KqueueSelector"))
        loop = asyncio.new_event_loop()
        print(type(loop._selector).__name__)
        loop.close()
        knote.uninstall()
        print(selectors.DefaultSelector.__name__, hasattr(selectors, "KqueueSelector"))
    """
    inside = (
        "KqueueSelector True\nKqueueSelector" if asked else "EpollSelector False\nEpollSelector"
    )
    assert alone(code) == f"{inside}\nEpollSelector False"


def test_select_imported_by_name_before() -> None:
    """What a module has taken already it keeps; it sees the new names through the module."""
    code = """
        from select import *
        import select, knote
        knote.install()
        print("kqueue" in globals(), select.kqueue is knote.kqueue)
    """
    assert alone(code) == "False True"


def test_default_selector_when_asked() -> None:
    from knote.loops.selector import KqueueSelector

    knote.install(default_selector=True)
    assert vars(selectors)["KqueueSelector"] is KqueueSelector
    assert selectors.DefaultSelector is KqueueSelector  # type: ignore[comparison-overlap]
    knote.install()
    assert selectors.DefaultSelector is KqueueSelector  # type: ignore[comparison-overlap]


def test_asked_for_later() -> None:
    knote.install()
    knote.install(default_selector=True)
    assert selectors.DefaultSelector.__name__ == "KqueueSelector"


def test_twice_is_once() -> None:
    knote.install()
    inside = dict(vars(select)), list(sys.meta_path)
    knote.install()
    assert (dict(vars(select)), list(sys.meta_path)) == inside
    knote.uninstall()
    assert not hasattr(select, "kqueue")
    knote.uninstall()


def test_uninstall_without_install() -> None:
    knote.uninstall()
    assert not hasattr(select, "kqueue")


def test_objects_outlive_uninstall() -> None:
    knote.install()
    with DYNAMIC.kqueue() as queue:
        knote.uninstall()
        assert queue.control([knote.kevent(1, knote.EVFILT_USER)], 1, 0) == []


def fresh_select() -> ModuleType:
    """select, imported again as a module of its own; the old one is back in sys.modules afterwards."""
    old = sys.modules.pop("select")
    try:
        return importlib.import_module("select")
    finally:
        sys.modules["select"] = old


def test_reload() -> None:
    knote.install()
    importlib.reload(select)
    assert DYNAMIC.kqueue is knote.kqueue
    knote.uninstall()
    assert not hasattr(select, "kqueue")


def test_import_again() -> None:
    knote.install()
    new: Any = fresh_select()
    assert new is not select
    assert new.kqueue is knote.kqueue
    assert new.KQ_EV_ADD == knote.EV_ADD
    # Nothing tells that it was loaded with somebody's help.
    assert type(new.__loader__) is type(select.__loader__)
    assert type(new.__spec__.loader) is type(select.__loader__)
    knote.uninstall()
    assert not hasattr(new, "kqueue")
    assert not hasattr(fresh_select(), "kqueue")


def test_import_again_before_install() -> None:
    old = sys.modules["select"]
    new: Any = fresh_select()
    sys.modules["select"] = new
    try:
        knote.install()
        assert new.kqueue is DYNAMIC.kqueue is knote.kqueue
        knote.uninstall()
        assert not hasattr(new, "kqueue")
    finally:
        sys.modules["select"] = old


def test_a_module_that_is_let_go_of_is_gone() -> None:
    import gc
    import weakref

    knote.install()
    gone = weakref.ref(fresh_select())
    gc.collect()
    assert gone() is None


def test_the_finder_answers_to_select_only() -> None:
    before = list(sys.meta_path)
    knote.install()
    (added,) = [finder for finder in sys.meta_path if finder not in before]
    for name in ("selectors", "socket", "select.kqueue", "knote", "not_there_at_all"):
        assert added.find_spec(name, None) is None


def test_two_finders_of_this_kind() -> None:
    """A second copy of knote, or somebody else who does as we do, makes no circle."""
    from knote.patch import _Finder, _Installed

    second = _Finder(_Installed())
    sys.meta_path.insert(0, second)
    try:
        knote.install()
        new: Any = fresh_select()
        assert new.kqueue is knote.kqueue
    finally:
        sys.meta_path.remove(second)


def test_a_finder_that_finds_nothing_is_passed_over() -> None:
    knote.install()
    oddity: Any = object()
    sys.meta_path.insert(1, oddity)
    try:
        assert fresh_select().__dict__["kqueue"] is knote.kqueue
    finally:
        sys.meta_path.remove(oddity)


def test_a_finder_that_was_taken_out_comes_back() -> None:
    knote.install()
    finder = sys.meta_path.pop(0)
    knote.install()
    assert sys.meta_path[0] is finder


def test_what_somebody_took_out_comes_back() -> None:
    """As gevent does it; and the end is still as the beginning was."""
    knote.install()
    del DYNAMIC.kqueue, DYNAMIC.KQ_EV_ADD
    knote.install()
    assert DYNAMIC.kqueue is knote.kqueue
    assert DYNAMIC.KQ_EV_ADD == knote.EV_ADD


def test_a_name_of_somebody_else_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = object()
    monkeypatch.setattr(select, "kqueue", theirs, raising=False)
    knote.install()
    assert DYNAMIC.kqueue is knote.kqueue
    knote.uninstall()
    assert DYNAMIC.kqueue is theirs
    monkeypatch.undo()


def test_a_name_set_by_somebody_since_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    knote.install(default_selector=True)
    theirs = object()
    DYNAMIC.kqueue = theirs
    knote.uninstall()
    assert DYNAMIC.kqueue is theirs
    del DYNAMIC.kqueue


def test_from_threads() -> None:
    """Any thread may install and uninstall; the last word counts."""
    import threading

    def turn() -> None:
        for _ in range(20):
            knote.install(default_selector=True)
            knote.uninstall()

    threads = [threading.Thread(target=turn) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not hasattr(select, "kqueue")
    assert selectors.DefaultSelector is selectors.EpollSelector


def test_knote_imported_again_while_installed() -> None:
    """What install() put into select is not taken for the system's own."""
    code = """
        import sys, knote
        knote.install()
        for name in [name for name in sys.modules if name.partition(".")[0] == "knote"]:
            del sys.modules[name]
        import knote as again, select
        print(again.kqueue.__module__, again is not knote)
        again.install()
        print(select.kqueue is again.kqueue)
        again.uninstall()
        knote.uninstall()
        print(hasattr(select, "kqueue"))
    """
    assert alone(code) == "knote.kqueue True\nTrue\nFalse"


GEVENT_AFTER: Final = """
    import knote
    knote.install(default_selector={asked})
    from gevent import monkey
    monkey.patch_all()
    import select, selectors
    # gevent takes out whatever blocks the thread, on a BSD also the system's kqueue.
    print(hasattr(select, "kqueue"), selectors.DefaultSelector.__name__)
    knote.install(default_selector={asked})
    print(hasattr(select, "kqueue"), selectors.DefaultSelector.__name__)
    knote.uninstall()
    print(hasattr(select, "kqueue"), selectors.DefaultSelector.__name__)
"""
GEVENT_BEFORE: Final = """
    from gevent import monkey
    monkey.patch_all()
    import knote
    knote.install(default_selector={asked})
    import os, select, selectors
    r, w = os.pipe()
    os.write(w, b"abc")
    with select.kqueue() as queue:
        (event,) = queue.control([select.kevent(r)], 4, 1)
    print(event.data, selectors.DefaultSelector.__name__)
    knote.uninstall()
    print(hasattr(select, "kqueue"), selectors.DefaultSelector.__name__)
"""


@pytest.mark.needs("gevent")
@pytest.mark.parametrize("asked", [False, True])
def test_gevent_patches_afterwards(asked: bool) -> None:
    mine = "KqueueSelector" if asked else "GeventSelector"
    assert alone(GEVENT_AFTER.format(asked=asked)).splitlines() == [
        "False GeventSelector",
        f"True {mine}",
        "False GeventSelector",
    ]


@pytest.mark.needs("gevent")
@pytest.mark.parametrize("asked", [False, True])
def test_gevent_patched_before(asked: bool) -> None:
    mine = "KqueueSelector" if asked else "GeventSelector"
    assert alone(GEVENT_BEFORE.format(asked=asked)).splitlines() == [
        f"3 {mine}",
        "False GeventSelector",
    ]
