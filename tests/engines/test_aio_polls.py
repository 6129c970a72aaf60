"""Engine aio: what is its own beside what tests/behaviour asks of every engine."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_DELETE, EV_ENABLE, EV_RECEIPT, EVFILT_READ, errors, kevent
from tests import gates
from tests.support import seccomp
from tests.support.apart import apart
from tests.support.plumbing import Pair, Pipe, unix_pair
from tests.support.waiting import SOON, wait_until

pytestmark = pytest.mark.needs(engine="aio")
IO_SETUP = {"x86_64": 206, "aarch64": 0}
MANY = 300  # a context begins with room for 64
ROOM = 400


@pytest.fixture
def queue() -> Iterator[Any]:
    gates.apply("aio")
    with knote.kqueue(engine="aio") as made:
        yield made


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    with ExitStack() as stack:
        yield [stack.enter_context(Pipe()) for _ in range(MANY)]  # type: ignore[misc]


def read(fd: int, flags: int = EV_ADD) -> kevent:
    return kevent(fd, EVFILT_READ, flags)


def idents(queue: Any, seconds: float | None = 0) -> list[int]:
    return sorted(event.ident for event in queue.control(None, ROOM, seconds))


def test_it_holds_the_file_until_the_knote_goes(queue: Any) -> None:
    """The trait: the peer of a closed descriptor sees the close a little after the deletion."""
    with unix_pair() as pair:
        queue.control([read(pair.fd_a)], 0)
        assert idents(queue) == []
        fd = pair.fd_a
        pair.a.close()
        pair.b.setblocking(False)
        with pytest.raises(BlockingIOError):
            pair.b.recv(1)
        with pytest.raises(OSError):
            queue.control([read(fd, EV_DELETE)], 0)
        wait_until(lambda: _at_end(pair.b))


def test_it_lets_go_when_the_number_is_found_to_be_another_file(queue: Any) -> None:
    """No change of the old interest tells the engine, which knows numbers only: the finding does."""
    with unix_pair() as pair, Pipe() as other:
        assert isinstance(pair, Pair) and isinstance(other, Pipe)
        queue.control([read(pair.fd_a)], 0)
        assert idents(queue) == []
        os.dup2(other.r, pair.fd_a)
        with pytest.raises(FileNotFoundError):
            queue.control([read(pair.fd_a, EV_ENABLE)], 0)
        wait_until(lambda: _at_end(pair.b))


def test_deleted_before_it_is_closed(queue: Any) -> None:
    """What a program should do."""
    with unix_pair() as pair:
        queue.control([read(pair.fd_a)], 0)
        assert idents(queue) == []
        queue.control([read(pair.fd_a, EV_DELETE)], 0)
        pair.a.close()
        pair.b.setblocking(False)
        wait_until(lambda: _at_end(pair.b))


def test_closing_the_queue_lets_go(queue: Any) -> None:
    with unix_pair() as pair:
        with knote.kqueue(engine="aio") as other:
            other.control([read(pair.fd_a)], 0)
            assert idents(other) == []
        pair.a.close()
        pair.b.setblocking(False)
        wait_until(lambda: _at_end(pair.b))


def _at_end(one: socket.socket) -> bool:
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False


def test_it_outgrows_its_context(queue: Any, pipes: list[Pipe]) -> None:
    queue.control([read(pipe.r) for pipe in pipes], 0)
    assert idents(queue) == []
    for pipe in pipes:
        pipe.write(b"x")
    assert idents(queue, SOON) == sorted(pipe.r for pipe in pipes)
    for pipe in pipes:
        pipe.read()
    assert idents(queue) == []
    queue.control([read(pipe.r, EV_DELETE) for pipe in pipes], 0)
    for pipe in pipes:
        pipe.write(b"x")
    assert idents(queue) == []


@pytest.mark.parametrize("at", [0, MANY - 1])
def test_it_outgrows_its_context_while_threads_sleep_on_it(queue: Any, pipes: list[Pipe], at: int) -> None:
    """No timeout: nothing but the report wakes them."""
    got: list[list[int]] = []
    queue.control([read(pipes[0].r)], 0)
    sleepers = [threading.Thread(target=lambda: got.append(idents(queue, None))) for _ in range(3)]
    for sleeper in sleepers:
        sleeper.start()
    for pipe in pipes[1:]:
        queue.control([read(pipe.r)], 0)
    pipes[at].write(b"x")
    for sleeper in sleepers:
        sleeper.join()
    assert got == [[pipes[at].r]] * 3


def test_many_come_and_go_between_two_waits(queue: Any, pipe: Pipe) -> None:
    """Cancelled requests take room until they are reaped."""
    for _ in range(500):
        queue.control([read(pipe.r)], 0)
        assert idents(queue) == []
        queue.control([read(pipe.r, EV_DELETE)], 0)
    queue.control([read(pipe.r)], 0)
    pipe.write(b"x")
    assert idents(queue, None) == [pipe.r]


def test_a_file_that_it_cannot_poll_wakes_a_sleeper(queue: Any) -> None:
    """A terminal has two wait queues (EINVAL)."""
    with ExitStack() as stack:
        master, slave = os.openpty()
        stack.callback(os.close, master)
        stack.callback(os.close, slave)
        queue.control([read(slave)], 0)
        assert idents(queue) == []
        writer = threading.Timer(0.01, os.write, (master, b"line\n"))
        writer.start()
        assert idents(queue, None) == [slave]
        writer.join()
        os.read(slave, 100)
        assert idents(queue) == []
        queue.control([read(slave, EV_DELETE)], 0)
        os.write(master, b"line\n")
        assert idents(queue) == []


def test_a_childs_is_closed_and_the_parents_goes_on(queue: Any, pipe: Pipe) -> None:
    """S-402: contexts are an address space's own."""
    queue.control([read(pipe.r)], 0)
    assert idents(queue) == []
    pid = os.fork()
    if not pid:
        status = 1
        try:
            assert queue.closed
            with knote.kqueue(engine="aio") as own:
                own.control([read(pipe.r)], 0)
                status = len(idents(own))
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    pipe.write(b"x")
    assert idents(queue, None) == [pipe.r]


# ---- fs.aio-max-nr -----------------------------------------------------------------------------


def no_context() -> None:
    seccomp.deny((IO_SETUP[os.uname().machine],), errno.EAGAIN)
    with pytest.raises(BlockingIOError, match=r"io_setup\(2\)"):
        knote.kqueue(engine="aio")


def no_bigger_context() -> None:
    with ExitStack() as stack:
        queue = stack.enter_context(knote.kqueue(engine="aio"))
        pipes: list[Any] = [stack.enter_context(Pipe()) for _ in range(MANY)]
        seccomp.deny((IO_SETUP[os.uname().machine],), errno.EAGAIN)
        taken = 0
        with pytest.raises(BlockingIOError):
            for pipe in pipes:
                queue.control([read(pipe.r)], 0)
                taken += 1
        assert 50 < taken < 64
        # In a list, too: what is before it stays, and what was there goes on.
        (refused,) = queue.control([read(pipes[-1].r, EV_ADD | EV_RECEIPT)], 1, 0)
        assert refused.data == errno.EAGAIN
        assert len(queue.knotes()) == taken
        queue.control([read(pipes[0].r, EV_DELETE)], 0)
        with pytest.raises(BlockingIOError):
            queue.control([read(pipe.r) for pipe in pipes[-3:]], 0)
        assert len(queue.knotes()) == taken
        for pipe in pipes:
            pipe.write(b"x")
        assert len(idents(queue, SOON)) == taken


@pytest.mark.parametrize("body", [no_context, no_bigger_context])
def test_the_systems_requests_are_taken(body: Callable[[], None], queue: Any) -> None:
    apart(body)


def many_in_turn() -> None:
    for _ in range(MANY):
        knote.kqueue(engine="aio").close()


def test_what_was_reported_to_others_takes_no_room(queue: Any) -> None:
    """They have one context after the other, and none waits, which would take the reports out."""
    apart(many_in_turn)


def test_the_limit_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its value and the command that raises it, where it is reached; else EAGAIN is somebody else's."""
    now = {"fs/aio-nr": "65500", "fs/aio-max-nr": "65536"}
    monkeypatch.setattr(errors, "_sysctl", now.__getitem__)
    text = str(errors.no_aio_polls(errno.EAGAIN))
    assert "65500 of the 65536" in text and "'sysctl fs.aio-max-nr=N' raises the limit" in text
    assert text.endswith(str(errors.refused(read(3), errno.EAGAIN)).rsplit(":", 1)[1])
    now["fs/aio-nr"] = "1000"
    assert "aio-max-nr" not in str(errors.refused(read(3), errno.EAGAIN))
