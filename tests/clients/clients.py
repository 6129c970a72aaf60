"""Which clients are run, how their kqueue back end is chosen, and what of theirs is run.

Sources come from PyPI as they are: the package from its wheel, tests that the wheel lacks from the sdist.
Versions are those of pyproject's extra `clients`.  All that is done to a client is what a BSD would do: there is a
kqueue in select, and the platform test by which it chooses its back end says so (site/knote_view.py).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PYTEST: Final = ("-m", "pytest", "-q", "-p", "knote_record", "-p", "no:cacheprovider", "-o", "addopts=")
NO_SETTINGS: Final = ("-c", "/dev/null", "--rootdir")
"""And a folder; for a suite without settings of its own: pytest would find those of knote, further up."""


@dataclass(frozen=True)
class Client:
    """One package, and what it shows of knote."""

    name: str
    """Of the distribution, as in the extra `clients`, or of several."""
    what: str
    """Its back end."""
    filters: str
    """Those that it asks for."""
    command: tuple[str, ...]
    """Arguments of Python.  {sources} is the folder of the unpacked sdist, {packages} site-packages, {programs}
    that of programs of our own."""
    tests: tuple[str, ...]
    """More arguments: which tests are run."""
    proof: str
    """Python that prints which back end was taken, and fails if it is not the kqueue one."""
    folder: str = "{packages}"
    """Where the command runs."""
    packages: tuple[str, ...] = ()
    """Whose modules see a FreeBSD.  If none, everybody sees Linux, with a kqueue in select."""
    hidden: tuple[str, ...] = ()
    """What those modules do not see: names that a BSD lacks, and that the client would take instead."""
    environment: tuple[tuple[str, str], ...] = ()
    """The client's own switch, if it has one."""
    must_run: tuple[str, ...] = ()
    """Patterns of tests that have to have run, or the suite has shown nothing."""
    limit_s: float = 240.0
    """A suite that is not done then is ended, and has failed."""
    distributions: tuple[str, ...] = ()
    """If the name is not one of them."""


CLIENTS: Final = (
    Client(
        "trio", "trio/_core/_io_kqueue.py, trio/_subprocess_platform/kqueue.py", "READ, WRITE, PROC",
        (*PYTEST, "-c", "{sources}/pyproject.toml", "--rootdir", "{packages}", "-p", "trio._tests.pytest_plugin",
         "--skip-optional-imports"),
        ("trio",),
        "from trio._core import _run; from trio import _subprocess_platform as children, _subprocess\n"
        "print(_run.TheIOManager.__name__, children.wait_child_exiting.__module__)\n"
        "assert _run.TheIOManager.__name__ == 'KqueueIOManager' and not _subprocess.can_try_pidfd_open",
        packages=("trio",),
        hidden=("select.epoll", "os.pidfd_open"),
        must_run=("*/test_io.py::test_io_manager_kqueue_monitors_statistics", "*/test_subprocess.py::test_basic*"),
    ),
    Client(
        "watchdog", "watchdog/observers/kqueue.py", "VNODE",
        PYTEST,
        ("tests",),
        "from watchdog.observers import Observer\n"
        "print(Observer.__module__)\n"
        "assert Observer.__name__ == 'KqueueObserver'",
        folder="{sources}",
        packages=("watchdog",),
        must_run=("tests/test_kqueue.py::*", "tests/test_emitter.py::test_*"),
        limit_s=400,
    ),
    Client(
        "Twisted", "twisted/internet/kqreactor.py", "READ, WRITE",
        ("-m", "knote_trial"),
        ("twisted.internet.test",
         *(f"twisted.test.test_{name}" for name in
           ("ftp", "internet", "process", "ssl", "stdio", "tcp", "threads", "udp", "unix"))),
        "from twisted.internet import kqreactor; kqreactor.install(); from twisted.internet import reactor\n"
        "print(type(reactor).__name__)\n"
        "assert type(reactor).__name__ == 'KQueueReactor'",
        packages=("twisted",),
        hidden=("select.epoll",),
        environment=(("KNOTE_REACTOR", "kqreactor"),),
        must_run=("*TCP4ClientTestsBuilder_KQueueReactorTests*", "*ProcessTestsBuilder_KQueueReactorTests*"),
        limit_s=400,
    ),
    Client(
        "supervisor", "supervisor/poller.py", "READ, WRITE",
        (*PYTEST, *NO_SETTINGS, "{packages}"),
        ("supervisor/tests", "--deselect", "supervisor/tests/test_end_to_end.py::EndToEndTests::test_issue_565"),
        "from supervisor import poller\n"
        "print(poller.Poller.__name__)\n"
        "assert poller.Poller is poller.KQueuePoller",
        environment=(("END_TO_END", "1"),),
        must_run=("*/test_poller.py::KQueuePollerTests::*", "*/test_end_to_end.py::*"),
    ),
    Client(
        "pyftpdlib", "pyftpdlib/ioloop.py", "READ, WRITE",
        PYTEST,
        ("tests/test_ioloop.py", "tests/test_servers.py", "tests/test_functional.py"),
        "from pyftpdlib.ioloop import IOLoop, Kqueue\n"
        "print(IOLoop.__bases__[0].__name__)\n"
        "assert issubclass(IOLoop, Kqueue)",
        folder="{sources}",
        packages=("pyftpdlib",),
        hidden=("select.epoll", "select.poll"),
        must_run=("tests/test_ioloop.py::KqueueIOLoopTestCase::*", "tests/test_functional.py::*"),
    ),
    Client(
        "eventlet", "eventlet/hubs/kqueue.py", "READ, WRITE",
        (*PYTEST, *NO_SETTINGS, "{sources}"),
        # Two that count to 500 for a quarter of a minute each, and one that must not be run: see NOT_RUN.
        ("tests", "--deselect", "tests/greenpool_test.py::Stress",
         "--deselect", "tests/hub_test.py::test_repeated_select_bad_fd"),
        "import warnings; warnings.simplefilter('ignore'); import eventlet.hubs; hub = eventlet.hubs.get_hub()\n"
        "print(type(hub).__module__)\n"
        "assert type(hub).__module__ == 'eventlet.hubs.kqueue'",
        folder="{sources}",
        environment=(("EVENTLET_HUB", "kqueue"),),
        must_run=("tests/greenio_test.py::*", "tests/hub_test.py::test_fork", "tests/wsgi_test.py::*"),
        limit_s=400,
    ),
    Client(
        "programs",
        "kombu/utils/eventio.py, mitogen/parent.py, netius/base/poll.py, pika/adapters/select_connection.py, "
        "psutil/_psposix.py, shadowsocks/eventloop.py",
        "READ, WRITE, PROC, VNODE",
        (*PYTEST, *NO_SETTINGS, "{programs}", "--confcutdir", "{programs}"),
        ("pollers.py",),
        "from psutil import _psposix\n"
        "print('each by the name of its kqueue class')\n"
        "assert _psposix.can_use_kqueue()",
        folder="{programs}",
        distributions=("kombu", "mitogen", "netius", "pika", "psutil", "shadowsocks"),
        must_run=("pollers.py::test_a_megabyte_comes_back*", "pollers.py::test_psutil_waits*"),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Tests that are expected to fail, and why."""

    client: str
    pattern: str
    side: str
    """Whose the difference is: "Linux", "FreeBSD" (so it is there, too), "the suite" or "knote"."""
    why: str

    def covers(self, test: str) -> bool:
        return test == self.pattern or (self.pattern.endswith("*") and test.startswith(self.pattern[:-1]))


ENOTCONN: Final = "it knows the number of ENOTCONN of Linux, macOS and Windows, and was told that this is FreeBSD"
TWICE: Final = (
    "it wants the directory's DirModified twice, as inotify's close gives it; one creation is one NOTE_WRITE"
)
ALSO: Final = (
    "it wants the DirModified that the emitter makes of the rename and none of the directory's own; FreeBSD tells "
    "NOTE_WRITE of each directory as well (S-183, trace vn_dir_rename_from), so there are more"
)
NOT_RUN: Final = {
    "eventlet tests/hub_test.py::test_repeated_select_bad_fd": (
        "select.kevent(-1) is OverflowError in CPython, too, where the hub expects ValueError; the listener that "
        "is left behind fails every test after it"
    ),
    "eventlet tests/greenpool_test.py::Stress": "a minute of counting that waits for nothing",
    "supervisor test_end_to_end.py::EndToEndTests::test_issue_565": (
        "waits for a program of its fixture that does not start here, without knote either"
    ),
    "circuits": "3.2.5: its KQueue poller fails before it has asked for anything: an int has no fileno()",
    "selectors2, selectors34, trollius": "do not import on Python 3.11",
}
"""What was tried and is left out."""

TCP4: Final = "twisted.internet.test.test_tcp.TCP4ClientTestsBuilder_"
OVERFLOW: Final = "ReactorTests.test_getaddrinfo_overflow_port"
PORT: Final = "it wants the resolver of a BSD to refuse a port above 65535; Linux's takes it"

ROWS: Final = (
    Row("trio", "trio/_core/_tests/test_io.py::test_wait_on_invalid_object", "knote",
        "it wants nothing behind 'Bad file descriptor', where knote goes on: which filter, which number, why"),
    Row("trio", "trio/_tests/test_unix_pipes.py::test_pipe_fully", "FreeBSD",
        "EV_ADD of WRITE on a pipe without a reader is EPIPE there and here (S-152); macOS and trio take it"),
    Row("trio", "trio/_tests/test_fakenet.py::test_recv_methods", "the suite",
        ENOTCONN),
    Row("trio", "trio/_tests/test_fakenet.py::test_nonwindows_functionality", "the suite", ENOTCONN),
    Row("trio", "trio/_tests/test_fakenet.py::test_getpeername", "the suite", ENOTCONN),
    Row("watchdog", "tests/test_emitter.py::test_create", "FreeBSD", TWICE),
    Row("watchdog", "tests/test_emitter.py::test_recursive_on", "FreeBSD", TWICE),
    Row("watchdog", "tests/test_emitter.py::test_recursive_off", "FreeBSD", TWICE),
    Row("watchdog", "tests/test_emitter.py::test_create_wrong_encoding", "the suite",
        "it wants FileOpened and FileClosed of every system but Windows; they are of watchdog's inotify emitter"),
    Row("watchdog", "tests/test_emitter.py::test_modify", "FreeBSD",
        "it wants FileModified, DirModified; a write changes no directory, and the emitter tells FileModified "
        "twice: by its snapshot and by the kevent"),
    Row("watchdog", "tests/test_emitter.py::test_touch", "FreeBSD",
        "it wants FileAttrib only; the time that it sets makes the emitter's snapshot say FileModified, too"),
    Row("watchdog", "tests/test_emitter.py::test_move_simple", "FreeBSD", ALSO),
    Row("watchdog", "tests/test_emitter.py::test_case_change", "FreeBSD", ALSO),
    Row("watchdog", "tests/test_emitter.py::test_move_from", "FreeBSD", ALSO),
    Row("watchdog", "tests/test_emitter.py::test_separate_consecutive_moves", "FreeBSD", ALSO),
    Row("watchdog", "tests/test_emitter.py::test_renaming_top_level_directory", "FreeBSD", ALSO),
    Row("watchdog", "tests/test_emitter.py::test_move_nested_subdirectories", "FreeBSD", ALSO),
    Row("Twisted", TCP4 + "AsyncioSelector" + OVERFLOW, "Linux", PORT),
    Row("Twisted", TCP4 + "KQueue" + OVERFLOW, "Linux", PORT),
    Row("Twisted", TCP4 + "Poll" + OVERFLOW, "Linux", PORT),
    Row("Twisted", TCP4 + "Select" + OVERFLOW, "Linux", PORT),
    Row("Twisted", TCP4 + "ThreadedSelect" + OVERFLOW, "Linux", PORT),
)  # fmt: skip
