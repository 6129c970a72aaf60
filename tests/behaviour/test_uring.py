"""Engines over io_uring: many changes by one call, polls of the ring's own, and where there is none."""

from __future__ import annotations

import errno
import os
import resource
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_ENABLE, EV_ERROR, EVFILT_READ, EVFILT_WRITE, NOTE_NODATA, kevent
from tests.behaviour.words import ROOM, apply, idle, read, ready, write
from tests.support import kernelcalls, seccomp
from tests.support.events import idents
from tests.support.faults import Faults, play
from tests.support.plumbing import Pair, Pipe, arrived, tcp_pair, unix_pair
from tests.support.waiting import SOON, wait_until

pytestmark = pytest.mark.needs("io_uring")
(WRITE,) = kernelcalls.of("write")
MANY = 70  # more than one batch has; the first has 4


@pytest.fixture
def queue() -> Iterator[Any]:
    with knote.kqueue(engine="uring") as made:
        yield made


@pytest.fixture
def polled() -> Iterator[Any]:
    with knote.kqueue(engine="uring-poll") as made:
        yield made


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    with ExitStack() as stack:
        yield [stack.enter_context(unix_pair()) for _ in range(MANY)]


def changes(pairs: list[Pair], number: int, flags: int) -> list[Any]:
    return [kevent(pair.fd_a, number, flags) for pair in pairs]


# ---- uring: batches ----------------------------------------------------------------------------


@pytest.mark.parametrize("count", [3, 4, 15, 64, 65, MANY])
def test_however_many(queue: Any, pairs: list[Pair], count: int) -> None:
    """Added, changed and deleted; by calls of their own, by a batch, by two."""
    some = pairs[:count]
    apply(queue, *changes(some, EVFILT_READ, EV_ADD))
    idle(queue)
    apply(queue, *changes(some, EVFILT_WRITE, EV_ADD))
    assert sorted(idents(queue.control(None, MANY, 0))) == sorted(pair.fd_a for pair in some)
    apply(queue, *changes(some, EVFILT_WRITE, EV_DELETE))
    idle(queue)
    apply(queue, *changes(some, EVFILT_READ, EV_DELETE))
    for pair in some:
        pair.b.send(b"x")
    idle(queue)


@pytest.mark.parametrize("at", [0, 30, 63, 64, MANY - 1])
def test_one_is_refused(queue: Any, pairs: list[Pair], at: int) -> None:
    """S-032: those before it are made, those behind it are not; with room, all but it are made."""
    apply(queue, *changes(pairs, EVFILT_READ, EV_ADD))
    fds = all_fds(pairs, at, pairs[at].fd_a)
    pairs[at].a.close()
    writes = [kevent(fd, EVFILT_WRITE, EV_ADD) for fd in fds]
    with pytest.raises(OSError) as raised:
        apply(queue, *writes)
    assert raised.value.errno == errno.EBADF
    assert sorted(idents(queue.control(None, MANY, 0))) == sorted(fds[:at])
    (error,) = queue.control(writes, MANY, 0)
    assert (error.ident, error.flags, error.data) == (fds[at], EV_ERROR, errno.EBADF)
    assert len(queue.control(None, MANY, 0)) == MANY - 1


def all_fds(pairs: list[Pair], at: int, fd: int) -> list[int]:
    return [fd if i == at else pair.fd_a for i, pair in enumerate(pairs)]


def test_what_was_made_behind_a_refusal_is_undone(queue: Any, pairs: list[Pair]) -> None:
    """A deletion, too: the knote lives on."""
    apply(queue, *changes(pairs, EVFILT_READ, EV_ADD))
    closed = pairs[5].fd_a
    pairs[5].a.close()
    fds = all_fds(pairs, 5, closed)
    with pytest.raises(OSError):
        apply(queue, *(kevent(fd, EVFILT_READ, EV_DELETE) for fd in fds))
    for pair in pairs[6:]:
        pair.b.send(b"x")
    assert sorted(idents(queue.control(None, MANY, 0))) == sorted(pair.fd_a for pair in pairs[6:])


def test_counts_of_many_sockets() -> None:
    """Each its own; a count is of now, whoever else is in the batch."""
    with ExitStack() as stack:
        queue = stack.enter_context(knote.kqueue(engine="uring"))
        connections = [stack.enter_context(tcp_pair()) for _ in range(MANY)]
        apply(queue, *(read(pair.a) for pair in connections))
        for i, pair in enumerate(connections):
            pair.b.send(b"x" * (i + 1))
        wait_until(lambda: len(queue.control(None, ROOM + MANY, 0)) == MANY)
        wanted = {pair.fd_a: i + 1 for i, pair in enumerate(connections)}
        wait_until(lambda: {event.ident: event.data for event in queue.control(None, MANY, 0)} == wanted)
        with unix_pair() as other:
            apply(queue, read(other.a))
            other.b.send(b"12")
            wanted[other.fd_a] = 2
            assert {event.ident: event.data for event in queue.control(None, 2 * MANY, 0)} == wanted


def test_its_ring_is_closed_by_the_program(queue: Any, pairs: list[Pair]) -> None:
    """As closefrom(3) does: what the ring does not take is made by calls of its own."""
    ring = next(fd for fd in range(3, 4096) if link(fd) == "anon_inode:[io_uring]")
    spare = os.open(os.devnull, os.O_RDONLY)
    os.dup2(spare, ring)
    os.close(spare)
    apply(queue, *changes(pairs, EVFILT_WRITE, EV_ADD))
    assert len(queue.control(None, MANY, 0)) == MANY


def link(fd: int) -> str:
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


# ---- uring-poll --------------------------------------------------------------------------------


def test_edges_of_many(polled: Any, pairs: list[Pair]) -> None:
    """S-071: each once, with whatever room; what happens before it is returned is one."""
    apply(polled, *changes(pairs, EVFILT_READ, EV_ADD | EV_CLEAR))
    for _ in range(3):
        for pair in pairs:
            pair.b.send(b"x")
            pair.b.send(b"y")
        came = idents(polled.control(None, MANY - 1, 0))
        assert len(came) == MANY - 1
        while events := polled.control(None, 16, 0):
            came += idents(events)
        assert sorted(came) == sorted(pair.fd_a for pair in pairs)
        idle(polled)


def test_more_edges_than_the_ring_has_room_for(polled: Any, pipe: Pipe) -> None:
    """What overflows comes all the same."""
    apply(polled, kevent(pipe.r, EVFILT_READ, EV_ADD | EV_CLEAR, NOTE_NODATA))
    for _ in range(10_000):
        os.write(pipe.w, b"x")
    assert idents(polled.control(None, ROOM, SOON)) == [pipe.r]
    polled.control(None, ROOM, 0)
    idle(polled)
    os.write(pipe.w, b"x")
    assert idents(polled.control(None, ROOM, SOON)) == [pipe.r]


def test_another_thread_is_told_where_to_wait(polled: Any, pipe: Pipe) -> None:
    """Level-triggered knotes serve it; with an edge about, it is refused and nothing is lost."""
    said: list[Any] = []

    def elsewhere() -> None:
        try:
            said.append(ready(polled))
        except OSError as error:
            said.append(str(error))

    def run() -> Any:
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        return said.pop()

    apply(polled, read(pipe.r))
    pipe.write(b"x")
    assert idents(run()) == [pipe.r]
    apply(polled, read(pipe.r, EV_DELETE), read(pipe.r, EV_ADD | EV_CLEAR))
    assert "'uring-poll'" in run() and not said
    assert idents(ready(polled)) == [pipe.r]


def test_another_thread_may_change(polled: Any, pipe: Pipe) -> None:
    """Its edges are epoll's; the poll that it deletes reports to nobody."""

    def elsewhere(*changed: Any) -> None:
        thread = threading.Thread(target=apply, args=(polled, *changed))
        thread.start()
        thread.join()

    elsewhere(read(pipe.r, EV_ADD | EV_CLEAR))
    pipe.write(b"x")
    assert idents(ready(polled)) == [pipe.r]
    idle(polled)
    apply(polled, read(pipe.r, EV_DELETE), read(pipe.r, EV_ADD | EV_CLEAR))
    assert idents(ready(polled)) == [pipe.r]
    elsewhere(read(pipe.r, EV_DELETE))
    pipe.write(b"x")
    idle(polled)
    assert polled.knotes() == []


def test_it_holds_the_file(polled: Any) -> None:
    """The trait: the peer of a closed descriptor sees the close when the knote is gone."""
    with unix_pair() as pair:
        apply(polled, read(pair.a, EV_ADD | EV_CLEAR))
        fd = pair.a.fileno()
        pair.a.close()
        pair.b.setblocking(False)
        with pytest.raises(BlockingIOError):
            pair.b.recv(1)
        with pytest.raises(OSError):
            polled.control([kevent(fd, EVFILT_READ, EV_DELETE)], 0)


def test_what_is_its_own_takes_no_events_place(polled: Any) -> None:
    """The ring's eventfd is raised by the poll that is replaced, and there is room for one."""
    with unix_pair() as pair:
        assert isinstance(pair, Pair)
        apply(polled, read(pair.a, EV_ADD | EV_CLEAR))
        assert idents(polled.control([read(pair.a), write(pair.b)], 1, 0)) == [pair.fd_b]


@pytest.mark.parametrize("edge", [False, True])
def test_deleted_before_it_is_closed(polled: Any, edge: bool) -> None:
    """It lets go at once, with an edge under way too, whenever somebody waits again."""
    with unix_pair() as pair:
        assert isinstance(pair, Pair)
        apply(polled, read(pair.a, EV_ADD | EV_CLEAR))
        if edge:
            pair.b.send(b"x")
        apply(polled, read(pair.a, EV_DELETE))
        pair.a.close()
        arrived(pair.fd_b)


def test_it_lets_go_when_the_number_is_found_to_be_another_file(polled: Any) -> None:
    """A change that finds it so names no interest that the engine would be told of."""
    with unix_pair() as pair, Pipe() as other:
        assert isinstance(pair, Pair) and isinstance(other, Pipe)
        apply(polled, read(pair.a, EV_ADD | EV_CLEAR))
        os.dup2(other.r, pair.fd_a)
        with pytest.raises(FileNotFoundError):
            apply(polled, read(pair.fd_a, EV_ENABLE))
        arrived(pair.fd_b)
        assert pair.b.recv(1) == b""


def test_a_childs_is_closed_and_the_parents_goes_on(polled: Any, pipe: Pipe) -> None:
    """S-392, S-402."""
    apply(polled, read(pipe.r, EV_ADD | EV_CLEAR))
    pid = os.fork()
    if not pid:
        os._exit(0 if polled.closed else 1)
    assert os.waitpid(pid, 0)[1] == 0
    pipe.write(b"x")
    assert idents(ready(polled)) == [pipe.r]


# ---- where there is none -----------------------------------------------------------------------

MAKE = """
import knote, sys
try:
    knote.kqueue(engine=sys.argv[1] if len(sys.argv) > 1 else "uring").close()
except OSError as error:
    print(error)
knote.kqueue().close()
"""


def edges_that_nobody_can_ring_for(faults: Faults) -> None:
    os.environ["KNOTE_IO_URING"] = "1"  # else no ring is made under a filter, which is one
    with unix_pair() as one, unix_pair() as other, knote.kqueue(engine="uring-poll") as queue:
        apply(queue, *changes([one, other], EVFILT_WRITE, EV_ADD | EV_CLEAR))
        faults.arm(errno.EPERM, number=WRITE)
        got = idents(queue.control(None, 1, 0))
        faults.disarm()
        assert faults.hits
        got += idents(queue.control(None, 1, SOON))
        assert sorted(got) == sorted([one.fd_a, other.fd_a])


@pytest.mark.needs("calls that fail")
def test_the_bell_cannot_be_raised(polled: Any) -> None:
    """Edges to write are another engine's than the queue's own, which asks it when its bell rings; what one call
    had no room for is told by the next one, though write(2) fails."""
    play(edges_that_nobody_can_ring_for, (WRITE,))


@pytest.mark.parametrize("name", ["uring", "uring-poll"])
def test_not_when_it_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOTE_IO_URING", "0")
    with pytest.raises(PermissionError, match="KNOTE_IO_URING=0"):
        knote.kqueue(engine=name)


def test_never_under_a_filter_unasked() -> None:
    """One that kills: the engine is refused with the reason, the default one needs no ring."""
    ran = seccomp.run(MAKE, seccomp.IO_URING)
    assert ran.returncode == 0 and "under a seccomp filter" in ran.stdout, ran.stderr


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOSYS, errno.ENOMEM])
def test_a_filter_that_says_no(number: int) -> None:
    ran = seccomp.run(MAKE, seccomp.IO_URING, number, KNOTE_IO_URING="1")
    assert ran.returncode == 0 and "io_uring_setup(2)" in ran.stdout, ran.stderr


@pytest.mark.parametrize("name", ["uring", "uring-poll"])
def test_no_descriptor_for_it(name: str) -> None:
    """EMFILE at each of its own: said, and nothing is left behind."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    try:
        for spare in range(4):
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, hard))
            try:
                knote.kqueue(engine=name).close()
            except OSError as error:
                assert error.errno == errno.EMFILE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
