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
    proactor: bool = False
    """asyncio has knote's ProactorEventLoop, and makes its loops of it unless asked for another, as on Windows."""
    must_run: tuple[str, ...] = ()
    """Patterns of tests that only run where there is a kqueue.  One that no test matches, or whose tests are all
    skipped, fails the suite: it would have passed by testing nothing."""


_LOOPS: Final = (
    "base_events", "buffered_proto", "context", "locks", "pep492", "proactor_events", "protocols",
    "queues", "runners", "server", "ssl", "sslproto", "streams", "taskgroups", "threads", "timeouts",
    "transports", "waitfor",
)  # fmt: skip
"""Modules of test_asyncio whose tests run on any loop, or ask asyncio for one."""

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
    "proactor": Suite(
        (
            "tests.cpython.proactor",
            *(f"test.test_asyncio.test_{module}" for module in _LOOPS),
        ),
        "knote.loops.proactor.ProactorEventLoop, bound to what takes a loop",
        proactor=True,
        must_run=(
            "*.proactor.Events.test_create_connection",
            "*.proactor.Subprocesses.test_stdin_stdout",
            "*.test_server.ProactorStartServerTests.*",
            "*.test_buffered_proto.BufferedProtocolProactorTests.*",
            "*.test_streams.StreamTests.test_open_connection",
            "*.test_windows_events.ProactorTests.test_pipe",
            "*.test_windows_utils.PipeTests.test_pipe_overlapped",
        ),
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
    left_out: bool = False
    """It is not run but counted among the skipped: it would hang, or fails now and then."""

    def applies(self, suite: str, version: tuple[int, int]) -> bool:
        return suite in self.suites and (not self.versions or version in self.versions)

    def covers(self, test: str) -> bool:
        return fnmatchcase(test, self.pattern)


ROWS: Final = (
    *(
        Row(
            f"*.proactor.Events.test_{name}",
            "listed: CPython skips it on win32, Don't support pipes for Windows; it blocks in a read of what a "
            "second write will send, which in proactor_events waits for a turn of the loop",
            ("proactor",),
            left_out=True,
        )
        for name in ("write_pipe", "write_pty", "bidirectional_pty")
    ),
    *(
        Row(
            f"*.proactor.Events.test_{name}",
            "listed: CPython skips it for its own proactor loop, which has neither add_reader() nor add_writer()",
            ("proactor",),
            left_out=True,
        )
        for name in (
            "reader_callback",
            "reader_callback_cancel",
            "writer_callback",
            "writer_callback_cancel",
            "remove_fds_after_closing",
        )
    ),
    Row(
        "*.proactor.Events.test_unclosed_pipe_transport",
        "CPython skips it on win32: Don't support pipes for Windows; a pipe that the loop closed has no repr()",
        ("proactor",),
    ),
    Row(
        "*.StreamTests.test_unclosed_resource_warnings",
        "listed: it counts on somebody to hold a transport whose peer has closed: selectors do, here nobody",
        ("proactor",),
        left_out=True,
    ),
    Row(
        "*.TestSSL.test_remote_shutdown_receives_trailing_data*",
        "listed: proactor_events drops what is written after close(), so TLS' close_notify when a long write is "
        "under way, and the test's server then spins",
        ("proactor",),
        left_out=True,
    ),
    Row(
        "*.proactor.SockLowlevel.test_sendto_blocking",
        "the socket is replaced by another object: CPython skips it on win32: Not relevant to ProactorEventLoop",
        ("proactor",),
    ),
    Row(
        "*.proactor.Sendfile.test_sendfile_close_peer_in_the_middle_of_receiving",
        "TransmitFile moves the file's position when all was sent: CPython does not look at it on win32",
        ("proactor",),
    ),
    Row(
        "*.proactor.Subprocesses.test_popen_error*",
        "the test replaces subprocess.Popen, or asyncio.windows_utils' on win32: this loop's is neither",
        ("proactor",),
    ),
)
