"""A signal that comes before a program is ready for it waits, and is told then."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from typing import Any

import pytest

import knote
from knote.apps import held
from knote.apps.handler import Handler
from tests.apps.programs import PATIENCE
from tests.apps.programs import knote as run

EARLY = """
import os, sys
from knote.apps import held
hold = held.hold
def and_then(numbers):
    numbers = list(numbers)
    hold(numbers)
    for number in numbers:
        os.kill(os.getpid(), number)  # the first moment at which it may come
held.hold = and_then
from knote.cli import main
sys.exit(main(sys.argv[1:]))
"""


def early(*words: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """Run knote; what it is signalled with comes as soon as it has asked for it."""
    return subprocess.run(
        [sys.executable, "-c", EARLY, *words], capture_output=True, check=False, timeout=PATIENCE, **how
    )


def test_cat_tells_of_it_once_it_copies() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", EARLY, "cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None and select.select([process.stderr], [], [], PATIENCE)[0]
        assert process.stderr.readline().startswith(b"-: 0 B, ")
        assert process.communicate(b"seven b", PATIENCE) == (b"seven b", b"")
        assert process.returncode == 0


def test_cat_has_nothing_to_tell_of_an_empty_file() -> None:
    done = early("cat", os.devnull, stdin=subprocess.DEVNULL)
    assert (done.returncode, done.stdout) == (0, b"")


@pytest.mark.parametrize("words", [["--signal", "USR1"], ["--signal=SIGUSR1"], ["--signal", "RTMIN+1"]])
def test_wait_has_it(words: list[str]) -> None:
    done = early("wait", *words)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.endswith(b": came\n")


def test_what_a_command_is_started_with() -> None:
    # Neither blocked nor ignored: the command is ended by it, as it would be without us.
    kill = "import os, signal; os.kill(os.getpid(), signal.SIGUSR1)"
    for more in ([], ["--restart", "--count", "1", "--timer", "10s"]):
        done = run("wait", "--signal", "USR1", *more, "--timeout", "300ms", "--", sys.executable, "-c", kill)
        assert done.returncode == 124  # it was not held, so it came to nobody but the command
    done = early("wait", "--signal", "USR1", "--any", "--", sys.executable, "-c", kill)
    assert done.returncode == 128 + signal.SIGUSR1


def test_a_wrong_name_is_told_by_who_reads_the_line() -> None:
    done = run("wait", "--signal", "BLOCK")
    assert done.returncode == 1
    assert done.stderr.startswith(b"knote wait: --signal BLOCK: no signal that can be caught")


def test_held_is_pending_and_let_go_is_counted() -> None:
    number = signal.SIGUSR2
    before = signal.signal(number, lambda number, frame: None)
    try:
        held.hold([number])
        signal.raise_signal(number)
        assert number in signal.sigpending()
        with knote.kqueue() as queue:
            assert held.attach(queue, number, Handler()) == 1
            assert number not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
            assert queue.control(None, 1, 0) == []
            signal.raise_signal(number)
            [event] = queue.control(None, 1, None)
        assert (event.ident, event.data) == (number, 1)
    finally:
        signal.signal(number, before)


def test_what_somebody_else_blocked_stays_blocked() -> None:
    number = signal.SIGUSR2
    signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        held.hold([number])
        with knote.kqueue() as queue:
            held.attach(queue, number, Handler())
        assert number in signal.pthread_sigmask(signal.SIG_BLOCK, [])
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [number])


@pytest.mark.parametrize(
    ("name", "number"),
    [("USR1", 10), ("SIGUSR1", 10), ("usr1", 10), ("10", 10), ("RTMIN", 34), ("RTMIN+2", 36), ("RTMAX", 64)],
)
def test_names(name: str, number: int) -> None:
    assert held.numbered(name) == number


@pytest.mark.parametrize(
    "name", ["", "KILL", "STOP", "9", "0", "65", "BLOCK", "_IGN", "IGN", "DFL", "USR3", "RTMIN+x"]
)
def test_no_names(name: str) -> None:
    with pytest.raises(ValueError, match="no signal that can be caught"):
        held.numbered(name)


LOST = """
import os, signal, sys
import knote.cli
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "knote.kqueue":
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(100): pass
            except KeyboardInterrupt:
                pass  # as a callback of the import system does it
sys.meta_path.insert(0, Finder())
sys.exit(knote.cli.main(sys.argv[1:]))
"""


@pytest.mark.parametrize("words", [["wait", "--timer", "1ms"], ["cat", "/proc/self/status"]])
def test_ctrl_c_is_not_lost_while_it_imports(words: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LOST, *words], capture_output=True, check=False, timeout=PATIENCE
    )
    assert (done.returncode, done.stderr) == (-signal.SIGINT, b"")


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.default_int_handler])
def test_ctrl_c_is_afterwards_as_it_was(handler: Any) -> None:
    before = signal.signal(signal.SIGINT, handler)
    meanwhile = signal.SIG_IGN if handler == signal.SIG_IGN else signal.SIG_DFL
    try:
        assert held.interruptible(lambda: int(signal.getsignal(signal.SIGINT) == meanwhile))
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)
