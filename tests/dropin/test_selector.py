"""KqueueSelector beside CPython's other selectors, and where a kqueue has its own ways (spec 3.6)."""

from __future__ import annotations

import errno
import os
import select
import selectors
import signal
import socket
import time
from collections.abc import Iterator
from selectors import EVENT_READ, EVENT_WRITE
from typing import Any

import pytest

import knote
from knote.loops.selector import KqueueSelector
from tests.support import plumbing
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import HARDLY, SOON

BOTH = EVENT_READ | EVENT_WRITE


@pytest.fixture
def selector() -> Iterator[KqueueSelector]:
    with KqueueSelector() as made:
        yield made


def ready(selector: selectors.BaseSelector, timeout: float = SOON) -> dict[int, int]:
    """fd → events; what comes in two is one."""
    found: dict[int, int] = {}
    for key, events in selector.select(timeout):
        found[key.fd] = found.get(key.fd, 0) | events
    return found


def knotes(selector: KqueueSelector, fd: int) -> int:
    """The events that the queue itself watches for: a modification of what is not there is refused."""
    found = 0
    for event, number in ((EVENT_READ, knote.EVFILT_READ), (EVENT_WRITE, knote.EVFILT_WRITE)):
        try:
            selector._queue.control([knote.kevent(fd, number, knote.EV_ENABLE)], 0, 0)
        except OSError as error:
            assert error.errno == errno.ENOENT
        else:
            found |= event
    return found


def test_it_is_a_selector(selector: KqueueSelector) -> None:
    assert isinstance(selector, selectors.BaseSelector)
    assert selector.fileno() == selector._queue.fileno()


def test_the_engine(engine: str) -> None:
    KqueueSelector(engine=engine).close()
    with pytest.raises(ValueError, match="unknown engine 'kpoll'"):
        KqueueSelector(engine="kpoll")


def test_reading_and_writing_come_in_one_call(selector: KqueueSelector, socketpair: Pair) -> None:
    """S-339, gh-110038: two entries of one key."""
    socketpair.b.send(b"x")
    key = selector.register(socketpair.a, BOTH, "mine")
    assert sorted(selector.select(SOON)) == [(key, EVENT_READ), (key, EVENT_WRITE)]
    assert key.data == "mine"


def test_many_of_both_in_one_call(selector: KqueueSelector) -> None:
    pairs = [plumbing.unix_pair() for _ in range(8)]
    for pair in pairs:
        selector.register(pair.a, BOTH)
        pair.b.send(b"x")
    assert ready(selector) == dict.fromkeys((pair.fd_a for pair in pairs), BOTH)
    for pair in pairs:
        pair.close()


def test_it_is_level_triggered(selector: KqueueSelector, pipe: Pipe) -> None:
    """S-341."""
    selector.register(pipe.r, EVENT_READ)
    pipe.write(b"ab")
    for _ in range(3):
        assert ready(selector) == {pipe.r: EVENT_READ}
    pipe.read()
    assert ready(selector, 0) == {}


def test_the_end_is_readable(selector: KqueueSelector, socketpair: Pair) -> None:
    """S-340: EV_EOF is no event of its own; and what select() collects with has no changes that EV_ERROR could be
    the answer to."""
    key = selector.register(socketpair.a, EVENT_READ)
    socketpair.b.close()
    assert selector.select(SOON) == [(key, EVENT_READ)]
    os.close(socketpair.a.detach())
    assert selector.select(0) == []


def test_unregister_stops_it(selector: KqueueSelector, socketpair: Pair) -> None:
    key = selector.register(socketpair.a, BOTH)
    assert selector.unregister(socketpair.a) == key
    assert knotes(selector, socketpair.fd_a) == 0
    assert ready(selector, 0) == {}
    with pytest.raises(KeyError):
        selector.unregister(socketpair.a)


def test_unregister_after_close(selector: KqueueSelector) -> None:
    """S-337."""
    pair = plumbing.unix_pair()
    selector.register(pair.a, BOTH)
    pair.close()
    assert selector.unregister(pair.a).events == BOTH
    assert dict(selector.get_map()) == {}


@pytest.mark.parametrize("old", [EVENT_READ, EVENT_WRITE, BOTH])
@pytest.mark.parametrize("new", [EVENT_READ, EVENT_WRITE, BOTH])
def test_modify(selector: KqueueSelector, socketpair: Pair, old: int, new: int) -> None:
    """S-338: what is watched is what was asked for last."""
    socketpair.b.send(b"x")
    selector.register(socketpair.a, old, 1)
    key = selector.modify(socketpair.a, new, 2)
    assert (key.events, key.data) == (new, 2)
    assert selector.get_key(socketpair.a) == key
    assert knotes(selector, socketpair.fd_a) == new
    assert ready(selector) == {socketpair.fd_a: new}


def test_modify_of_data_alone_asks_nobody(
    selector: KqueueSelector, pipe: Pipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    selector.register(pipe.r, EVENT_READ, 1)
    monkeypatch.setattr(selector, "_queue", None)
    assert selector.modify(pipe.r, EVENT_READ, 2).data == 2
    monkeypatch.undo()


def test_modify_what_is_not_there(selector: KqueueSelector, pipe: Pipe) -> None:
    with pytest.raises(KeyError, match="not registered"):
        selector.modify(pipe.r, EVENT_READ)
    with pytest.raises(ValueError, match="Invalid file"):
        selector.modify("nothing", EVENT_READ)  # type: ignore[arg-type]


def test_modify_to_events_that_are_none(selector: KqueueSelector, pipe: Pipe) -> None:
    """bpo-30014: an error unregisters."""
    selector.register(pipe.r, EVENT_READ)
    for events in (0, 4):
        with pytest.raises(ValueError, match="Invalid events"):
            selector.modify(pipe.r, events)
        assert knotes(selector, pipe.r) == 0
        selector.register(pipe.r, EVENT_READ)


def test_modify_after_close(selector: KqueueSelector) -> None:
    pipe = Pipe()
    number = pipe.r
    selector.register(number, EVENT_READ)
    pipe.close()
    with pytest.raises(OSError, match="Bad file"):
        selector.modify(number, BOTH)
    assert dict(selector.get_map()) == {}


def test_modify_finds_the_file_that_has_the_number_now(selector: KqueueSelector, socketpair: Pair) -> None:
    """asyncio's sockets are sometimes closed before their loop hears of it."""
    first = plumbing.unix_pair()
    number = first.fd_a
    selector.register(number, EVENT_READ)
    os.dup2(socketpair.fd_a, number)
    socketpair.b.send(b"x")
    selector.modify(number, BOTH)
    assert ready(selector) == {number: BOTH}
    selector.unregister(number)
    first.close()


def test_register_refused(selector: KqueueSelector, pipe: Pipe) -> None:
    """S-336: the error is raised, and nothing stays."""
    number = pipe.w
    pipe.close_w()
    with pytest.raises(OSError, match="Bad file") as caught:
        selector.register(number, BOTH)
    assert caught.value.errno == errno.EBADF
    with pytest.raises(KeyError):
        selector.get_key(number)
    assert knotes(selector, pipe.r) == 0


def test_one_of_two_refused(selector: KqueueSelector, pipe: Pipe, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither stays, in the queue either."""
    real = selector._queue

    class Refusing:
        """A queue that has no EVFILT_WRITE."""

        def control(self, changes: Any, *rest: Any) -> Any:
            done = real.control([change for change in changes if change.filter != knote.EVFILT_WRITE], *rest)
            if any(change.filter == knote.EVFILT_WRITE and change.flags & knote.EV_ADD for change in changes):
                raise OSError(errno.ENOSPC, "no")
            return done

    monkeypatch.setattr(selector, "_queue", Refusing())
    with pytest.raises(OSError, match="no"):
        selector.register(pipe.r, BOTH)
    selector.register(pipe.r, EVENT_READ)
    with pytest.raises(OSError, match="no"):
        selector.modify(pipe.r, EVENT_WRITE)
    monkeypatch.undo()
    assert knotes(selector, pipe.r) == 0
    assert dict(selector.get_map()) == {}


def test_registered_twice(selector: KqueueSelector, pipe: Pipe) -> None:
    selector.register(pipe.r, EVENT_READ)
    with pytest.raises(KeyError, match="already registered"):
        selector.register(pipe.r, EVENT_WRITE)
    assert knotes(selector, pipe.r) == EVENT_READ


def test_events_that_are_none(selector: KqueueSelector, pipe: Pipe) -> None:
    for events in (0, 4):
        with pytest.raises(ValueError, match="Invalid events"):
            selector.register(pipe.r, events)


@pytest.mark.parametrize("timeout", [0, -1, -0.5])
def test_no_waiting(selector: KqueueSelector, timeout: float) -> None:
    start = time.monotonic()
    assert selector.select(timeout) == []
    assert time.monotonic() - start < SOON


def test_nothing_registered_waits_all_the_same(selector: KqueueSelector) -> None:
    """bpo-29255."""
    start = time.monotonic()
    assert selector.select(HARDLY) == []
    assert time.monotonic() - start >= HARDLY


def test_a_signal_does_not_end_the_wait(selector: KqueueSelector) -> None:
    heard = []
    before = signal.signal(signal.SIGALRM, lambda *_: heard.append(time.monotonic()))
    try:
        start = time.monotonic()
        signal.setitimer(signal.ITIMER_REAL, HARDLY)
        assert selector.select(2 * HARDLY) == []
        assert time.monotonic() - start >= 2 * HARDLY
        assert len(heard) == 1
    finally:
        signal.signal(signal.SIGALRM, before)


def test_interrupted(selector: KqueueSelector, monkeypatch: pytest.MonkeyPatch) -> None:
    class Interrupted:
        def control(self, *_: Any) -> Any:
            raise InterruptedError

    monkeypatch.setattr(selector, "_queue", Interrupted())
    assert selector.select(0) == []
    monkeypatch.undo()


def test_its_descriptor_polls(selector: KqueueSelector, pipe: Pipe) -> None:
    """S-343: one selector inside of another kind."""
    selector.register(pipe.r, EVENT_READ)
    poll, epoll = select.poll(), select.epoll()
    poll.register(selector.fileno(), select.POLLIN)
    epoll.register(selector.fileno(), select.EPOLLIN)
    assert poll.poll(0) == epoll.poll(0) == []
    pipe.write(b"x")
    assert poll.poll(SOON * 1000) == [(selector.fileno(), select.POLLIN)]
    assert epoll.poll(SOON) == [(selector.fileno(), select.EPOLLIN)]
    epoll.close()


def test_the_error_of_a_connect_is_still_there(selector: KqueueSelector) -> None:
    """S-344: asyncio asks SO_ERROR after EVENT_WRITE."""
    with plumbing.listener() as gone:
        address = gone.getsockname()
    with socket.socket() as client:
        client.setblocking(False)
        if client.connect_ex(address) == errno.EINPROGRESS:
            selector.register(client, EVENT_WRITE)
            assert ready(selector) == {client.fileno(): EVENT_WRITE}
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
            selector.unregister(client)


def test_reading_a_write_end_tells_that_the_reader_left(selector: KqueueSelector, pipe: Pipe) -> None:
    """S-345: asyncio's write pipe transport."""
    selector.register(pipe.w, EVENT_READ)
    assert selector.select(0) == []
    pipe.close_r()
    assert ready(selector) == {pipe.w: EVENT_READ}
    selector.unregister(pipe.w)


def test_after_close(pipe: Pipe) -> None:
    """S-342, and as CPython's."""
    selector = KqueueSelector()
    mapping = selector.get_map()
    selector.register(pipe.r, EVENT_READ)
    selector.close()
    selector.close()
    assert selector._queue.closed
    assert selector.get_map() is None
    assert list(mapping) == []
    for use in (selector.unregister, selector.get_key):
        with pytest.raises((KeyError, RuntimeError)):
            use(pipe.r)
    for call in (selector.fileno, lambda: selector.select(0), lambda: selector.register(pipe.r, EVENT_READ)):
        with pytest.raises(ValueError, match="closed kqueue"):
            call()


def test_objects_and_numbers(selector: KqueueSelector, socketpair: Pair) -> None:
    key = selector.register(socketpair.a, EVENT_WRITE)
    assert key.fileobj is socketpair.a
    assert selector.get_key(socketpair.fd_a) is selector.get_key(socketpair.a)
    assert selector.unregister(socketpair.fd_a) == key


def test_a_random_history_agrees_with_epoll(selector: KqueueSelector) -> None:
    """The same registrations and the same traffic, asked of both."""
    import random

    chance = random.Random(3)
    pairs = [plumbing.unix_pair() for _ in range(6)]
    with selectors.EpollSelector() as oracle:
        both = (selector, oracle)
        for _ in range(1500):
            pair = chance.choice(pairs)
            registered = pair.a in oracle.get_map()
            act = chance.randrange(5)
            if act == 0:
                events = chance.choice((EVENT_READ, EVENT_WRITE, BOTH))
                for each in both:
                    (each.modify if registered else each.register)(pair.a, events)
            elif act == 1 and registered:
                for each in both:
                    each.unregister(pair.a)
            elif act == 2:
                pair.b.send(b"x")
            elif act == 3:
                plumbing.drain(pair.fd_a)
            else:
                assert ready(selector, 0) == ready(oracle, 0)
    for pair in pairs:
        pair.close()
