"""The leak check finds what it is for: each test leaves something, looks, and tidies up."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from tests.support import leaks


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left here stays until the test takes it away."""
    monkeypatch.setattr(leaks, "TO_GO_S", 0.1)


def test_nothing_left_is_no_complaint() -> None:
    before = leaks.snapshot()
    r, w = os.pipe()
    os.close(r)
    os.close(w)
    assert leaks.complaints(before) == []


def test_a_descriptor() -> None:
    before = leaks.snapshot()
    r, w = os.pipe()
    said = leaks.complaints(before)
    os.close(r)
    os.close(w)
    assert [line.partition(": pipe:")[0] for line in said] == [
        f"fd {r} was left open",
        f"fd {w} was left open",
    ]


def test_a_descriptor_that_was_not_ours_to_close() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    before = leaks.snapshot()
    os.close(fd)
    assert leaks.complaints(before) == [f"fd {fd} was closed, and was not the test's: /dev/null"]


def test_a_number_that_now_is_another_file() -> None:
    fd = os.open("/dev/null", os.O_RDONLY)
    before = leaks.snapshot()
    other = os.open("/dev/zero", os.O_RDONLY)
    os.dup2(other, fd)
    os.close(other)
    said = leaks.complaints(before)
    os.close(fd)
    assert said == [f"fd {fd} is /dev/zero and was /dev/null"]


def test_a_thread() -> None:
    before = leaks.snapshot()
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait, name="loiterer")
    thread.start()
    said = leaks.complaints(before)
    stop.set()
    thread.join()
    assert said == ["thread 'loiterer' is still running"]


def test_a_child() -> None:
    before = leaks.snapshot()
    pid = os.fork()
    if not pid:
        os._exit(0)
    said = leaks.complaints(before)
    os.waitpid(pid, 0)
    assert said == [f"child process {pid} was not waited for (state Z)"]


def test_a_handler_and_a_mask() -> None:
    before = leaks.snapshot()
    was = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    said = leaks.complaints(before)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})
    signal.signal(signal.SIGUSR1, was)
    assert len(said) == 3
    assert said[0].startswith("SIGUSR1 is handled by")
    assert said[1:] == ["SIGUSR2 is blocked", "SIGUSR1 is ignored by the kernel"]
    assert leaks.complaints(before) == []
