"""Fixtures of all tests: every engine in turn, plumbing that closes, the check for leaks."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from typing import Any

import pytest

from tests import gates
from tests.support import installed, leaks, plumbing


def pytest_configure(config: pytest.Config) -> None:
    """The marks of tests/gates.py and of the leak check."""
    config.addinivalue_line(
        "markers", "needs(*what, engine=None): skipped if a row in tests/gates.py closes it"
    )
    config.addinivalue_line(
        "markers", "leaves(reason): the test leaves something behind on purpose"
    )


def pytest_collection_finish() -> None:
    """What pytest and the modules hold by now stays, so no collection need walk through it again; the
    leak check collects twice per test, and that took nine tenths of many tests' time."""
    gc.collect()
    gc.freeze()


def pytest_report_header(config: pytest.Config) -> str:
    """Which knote these tests are about."""
    try:
        import knote
    except ImportError as error:
        return f"knote: not importable ({error})"
    engines = ", ".join(installed.engines_under_test())
    return f"knote: {installed.build()}, from {knote.__file__}, engines {engines}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `engine` (or for `kq`, which does) runs once per engine of $KNOTE_TEST_ENGINES; in a
    module about the server, which says so by DRIVERS, on each of its drivers: the first engine, and the ring."""
    if "engine" in metafunc.fixturenames:
        names = list(installed.engines_under_test())
        if getattr(metafunc.module, "DRIVERS", False):
            names = [*names[:1], "ring"]
        metafunc.parametrize("engine", names, indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With other engines named, only what is about an engine: the rest says the same on all of them."""
    if not installed.only_other_engines():
        return
    about: list[pytest.Item] = []
    rest: list[pytest.Item] = []
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        (about if "engine" in params else rest).append(item)
    config.hook.pytest_deselected(items=rest)
    items[:] = about


@pytest.fixture(autouse=True)
def _leaves_nothing_behind(request: pytest.FixtureRequest) -> Iterator[None]:
    """Descriptors, threads, children, signals: as before the test, or the test fails."""
    if request.node.get_closest_marker("leaves"):
        yield
        return
    before = leaks.snapshot()
    gc.freeze()  # as at the start: the reports of earlier tests, thousands by the end, are pytest's
    yield
    said = leaks.complaints(before)
    if said:
        pytest.fail("the test left something behind:\n  " + "\n  ".join(said), pytrace=False)


@pytest.fixture(autouse=True)
def _gate(request: pytest.FixtureRequest) -> None:
    """@pytest.mark.needs("EVFILT_VNODE", engine=...): several marks add up."""
    spec = getattr(request.node, "callspec", None)
    engine = None if spec is None else spec.params.get("engine")
    for mark in request.node.iter_markers("needs"):
        gates.apply(mark.kwargs.get("engine", engine), mark.args)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """The name of an engine; every engine under test in turn."""
    name: str = request.param
    if name == "ring":
        gates.apply(None, ("a server's ring",))
    else:
        gates.apply(name)
    return name


@pytest.fixture
def kq(engine: str) -> Iterator[Any]:
    """A fresh queue on the engine, closed afterwards."""
    import knote

    queue = knote.kqueue(engine=engine)
    yield queue
    queue.close()


@pytest.fixture
def pipe() -> Iterator[plumbing.Pipe]:
    """A non-blocking pipe: pipe.r, pipe.w, pipe.write(b"x"), pipe.close_w()."""
    made = plumbing.Pipe()
    yield made
    made.close()


@pytest.fixture
def socketpair() -> Iterator[plumbing.Pair]:
    """Two connected UNIX stream sockets, .a and .b."""
    made = plumbing.unix_pair()
    yield made
    made.close()


@pytest.fixture
def tcp_listener() -> Iterator[Any]:
    """A TCP listener on the loopback."""
    made = plumbing.listener()
    yield made
    made.close()


@pytest.fixture
def tcp_pair() -> Iterator[plumbing.Pair]:
    """A TCP connection over the loopback, client .a and server .b."""
    made = plumbing.tcp_pair()
    yield made
    made.close()
