"""What is run of CPython's tests, with what installed, and which of them cannot pass on Linux.

The tests come from the `test` package of the interpreter, as they are.  All that is done to them is what a BSD
does: there are names in select, and perhaps in selectors, before they are imported.
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final


@dataclass(frozen=True)
class Suite:
    """Some tests, and the state of select and selectors in which they are imported."""

    tests: tuple[str, ...]
    """Names for unittest: packages, modules, classes in one."""
    why: str
    default_selector: bool = False
    """install(default_selector=True): knote's own KqueueSelector."""
    fresh_selectors: bool = False
    """selectors is imported after install(): CPython's KqueueSelector, from its own source, as on a BSD."""
    must_run: tuple[str, ...] = ()
    """Patterns of tests that only run where there is a kqueue.  One that no test matches, or whose tests are all
    skipped, fails the suite: it would have passed by testing nothing."""


SUITES: Final = {
    "kqueue": Suite(
        ("test.test_kqueue",),
        "select.kqueue and select.kevent themselves",
        must_run=("*.TestKQueue.test_queue_event", "*.TestKQueue.testPair"),
    ),
    "eintr": Suite(
        ("test._test_eintr.SelectEINTRTest",),
        "a wait that signals interrupt goes on (PEP 475)",
        must_run=("*.SelectEINTRTest.test_kqueue",),
    ),
    "selectors": Suite(
        ("test.test_selectors",),
        "knote.loops.selector.KqueueSelector",
        default_selector=True,
        must_run=("*.KqueueSelectorTestCase.test_select_read_write", "*.DefaultSelectorTestCase.test_selector"),
    ),
    "selectors-cpython": Suite(
        ("test.test_selectors",),
        "CPython's own KqueueSelector on knote's kqueue",
        fresh_selectors=True,
        must_run=(
            "*.KqueueSelectorTestCase.test_select_read_write",
            "*.DevpollSelectorTestCase.test_select_read_write",
        ),
    ),
    "devpoll": Suite(
        ("test.test_devpoll",),
        "select.devpoll itself",
        must_run=("*.DevPollTests.test_devpoll1",),
    ),
    "asyncio": Suite(
        ("test.test_asyncio",),
        "asyncio with knote's KqueueSelector in every loop that does not name another",
        default_selector=True,
        must_run=(
            "*.test_events.KqueueEventLoopTests.*",
            "*.test_sock_lowlevel.KqueueEventLoopTests.*",
            "*.test_sendfile.KqueueEventLoopTests.*",
        ),
    ),
    "asyncio-cpython": Suite(
        tuple(f"test.test_asyncio.{module}" for module in ("test_events", "test_sock_lowlevel", "test_sendfile")),
        "asyncio's tests of each selector, with CPython's own KqueueSelector on knote's kqueue",
        fresh_selectors=True,
        must_run=("*.test_events.KqueueEventLoopTests.*",),
    ),
}


@dataclass(frozen=True)
class Row:
    """Tests that are expected to fail, and why."""

    pattern: str
    why: str
    suites: tuple[str, ...] = tuple(SUITES)
    versions: tuple[tuple[int, int], ...] = ()
    """Only these versions of CPython; all if empty."""

    def applies(self, suite: str, version: tuple[int, int]) -> bool:
        return suite in self.suites and (not self.versions or version in self.versions)

    def covers(self, test: str) -> bool:
        return fnmatchcase(test, self.pattern)


ROWS: Final[tuple[Row, ...]] = ()
