"""Which event comes first, and that none is kept waiting for ever."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from knote import EV_ADD, EV_CLEAR, EV_DISABLE, EV_DISPATCH, EV_ENABLE, NOTE_TRIGGER
from tests.behaviour.words import ROOM, apply, read, ready, trigger, user, write
from tests.support.events import brief, idents, keys
from tests.support.plumbing import Pair, Pipe, unix_pair


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    """Four of them."""
    with ExitStack() as stack:
        made = [Pipe() for _ in range(4)]
        for one in made:
            stack.callback(one.close)
        yield made


@pytest.fixture
def pairs() -> Iterator[list[Pair]]:
    """Three socket pairs, with something to read at each a."""
    with ExitStack() as stack:
        made = [unix_pair() for _ in range(3)]
        for one in made:
            stack.callback(one.close)
            one.b.send(b"x")
        yield made


# ---- first in, first out -----------------------------------------------------------------------


@pytest.mark.needs("order")
def test_in_the_order_in_which_they_became_true(kq: Any, pipes: list[Pipe]) -> None:
    """S-274; trace order_activation."""
    apply(kq, *(read(pipe.r) for pipe in pipes))
    order = [pipes[i] for i in (2, 0, 3, 1)]
    for pipe in order:
        pipe.write(b"x")
    for _ in range(3):
        assert idents(ready(kq)) == [pipe.r for pipe in order]


def test_in_the_order_of_the_list_if_true_at_registration(kq: Any, pipes: list[Pipe]) -> None:
    """S-274; trace order_registration."""
    for pipe in pipes:
        pipe.write(b"x")
    order = [pipes[i] for i in (1, 3, 0, 2)]
    assert idents(ready(kq, *(read(pipe.r) for pipe in order))) == [pipe.r for pipe in order]
    assert idents(ready(kq)) == [pipe.r for pipe in order]


def test_what_was_not_collected_keeps_its_place(kq: Any, pipes: list[Pipe]) -> None:
    """Traces order_readd, order_rewrite, order_disable_enable."""
    apply(kq, *(read(pipe.r) for pipe in pipes))
    for pipe in pipes[:3]:
        pipe.write(b"x")
    pipes[0].write(b"more")
    apply(kq, read(pipes[0].r, udata=7))
    apply(kq, read(pipes[1].r, EV_DISABLE))
    apply(kq, read(pipes[1].r, EV_ENABLE))
    assert idents(ready(kq)) == [pipe.r for pipe in pipes[:3]]


@pytest.mark.needs("order")
def test_a_new_one_queues_behind_those_that_wait(kq: Any, pipes: list[Pipe]) -> None:
    """Trace rotation_new_arrival."""
    r = [pipe.r for pipe in pipes]
    apply(kq, *map(read, r))
    pipes[0].write(b"x")
    pipes[1].write(b"x")
    assert idents(kq.control(None, 1, 0)) == [r[0]]
    pipes[2].write(b"x")
    assert idents(kq.control(None, 1, 0)) == [r[1]]
    assert idents(kq.control(None, 1, 0)) == [r[0]]
    pipes[3].write(b"x")
    for _ in range(2):
        assert idents(ready(kq)) == [r[2], r[1], r[0], r[3]]


def test_of_one_descriptor_in_the_order_of_the_list(kq: Any, socketpair: Pair) -> None:
    """S-274; trace same_fd_read_write."""
    fd = socketpair.fd_a
    socketpair.b.send(b"x")
    for _ in range(2):
        assert keys(kq.control([read(fd), write(fd)], ROOM, 0)) == [(fd, -1), (fd, -2)]


def test_created_without_being_collected(kq: Any, socketpair: Pair) -> None:
    """When which became true is not known then (docs/differences.md): room to write was there first."""
    fd = socketpair.fd_a
    socketpair.b.send(b"x")
    assert kq.control([read(fd), write(fd)], 0) == []
    assert keys(ready(kq)) == [(fd, -2), (fd, -1)]


def test_of_one_descriptor_in_the_order_in_which_they_became_true(
    kq: Any, socketpair: Pair
) -> None:
    """S-274; traces ss_seqpacket, tcp_fin: a READ that comes later stands behind the WRITE."""
    fd = socketpair.fd_a
    assert keys(ready(kq, read(fd), write(fd))) == [(fd, -2)]
    for _ in range(2):
        socketpair.b.send(b"x")
        assert keys(ready(kq)) == [(fd, -2), (fd, -1)]
        assert keys(ready(kq)) == [(fd, -2), (fd, -1)]
        socketpair.a.recv(10)
        assert keys(ready(kq)) == [(fd, -2)]


def test_user_events_among_pipes(kq: Any, pipes: list[Pipe]) -> None:
    """S-274; trace order_mixed_filters: what software activates before the kernel reports."""
    apply(kq, read(pipes[0].r), user(1, EV_ADD | EV_CLEAR), user(2, EV_ADD | EV_CLEAR))
    apply(kq, trigger(2))
    apply(kq, trigger(1))
    pipes[0].write(b"x")
    assert brief(ready(kq)) == ["2 USER CLEAR d=0", "1 USER CLEAR d=0", f"{pipes[0].r} READ d=1"]


# ---- room --------------------------------------------------------------------------------------


def test_level_goes_round(kq: Any, pipes: list[Pipe]) -> None:
    """S-276; trace rotation_level."""
    r = [pipe.r for pipe in pipes]
    for pipe in pipes:
        pipe.write(b"x")
    apply(kq, *map(read, r))
    got = [idents(kq.control(None, 1, 0)) for _ in range(5)]
    assert got == [[r[0]], [r[1]], [r[2]], [r[3]], [r[0]]]
    got = [idents(kq.control(None, 3, 0)) for _ in range(3)]
    assert got == [[r[1], r[2], r[3]], [r[0], r[1], r[2]], [r[3], r[0], r[1]]]


@pytest.mark.parametrize("room", [1, 2, 3, 7])
def test_what_found_no_room_comes_next(kq: Any, pipes: list[Pipe], room: int) -> None:
    """S-277; trace many_events: edges are not lost, and each comes once."""
    for pipe in pipes:
        pipe.write(b"x")
    many = range(20)
    apply(kq, *(read(pipe.r, EV_ADD | EV_CLEAR) for pipe in pipes))
    apply(kq, *(user(ident, EV_ADD | EV_CLEAR, NOTE_TRIGGER) for ident in many))
    got: list[tuple[int, int]] = []
    while events := kq.control(None, room, 0):
        assert len(events) <= room
        got += keys(events)
    assert len(got) == 24
    assert sorted(got) == sorted([(pipe.r, -1) for pipe in pipes] + [(i, -11) for i in many])


def test_one_call_returns_each_once(kq: Any, pairs: list[Pair]) -> None:
    """S-275."""
    apply(kq, *(make(pair.fd_a) for pair in pairs for make in (read, write)))
    for _ in range(5):
        got = keys(kq.control(None, 1000, 0))
        assert len(got) == len(set(got)) == 6


def starved(kq: Any, room: int, calls: int) -> Counter[tuple[int, int]]:
    """How often each was returned."""
    seen: Counter[tuple[int, int]] = Counter()
    for _ in range(calls):
        events = kq.control(None, room, 0)
        assert len(events) == room
        assert len(set(keys(events))) == room, "twice in one call"
        seen.update(keys(events))
    return seen


@pytest.mark.parametrize("room", [1, 2, 3])
@pytest.mark.parametrize("together", [True, False], ids=["one list", "one by one"])
def test_nobody_starves(kq: Any, pairs: list[Pair], room: int, together: bool) -> None:
    """S-276: READ and WRITE of three sockets, all true for ever, and little room: each is returned
    as often as the others, give or take what a call's room may overtake."""
    changes = [make(pair.fd_a) for pair in pairs for make in (read, write)]
    if together:
        apply(kq, *changes)
    else:
        for change in changes:
            kq.control([change], room, 0)
    calls = 240
    seen = starved(kq, room, calls)
    fair = calls * room / 6
    assert set(seen) == {(change.ident, change.filter) for change in changes}
    for key, count in seen.items():
        assert fair * 0.6 <= count <= fair * 1.6, (key, seen)


@pytest.mark.parametrize("room", [1, 2, 3])
def test_nobody_starves_among_all_kinds(
    kq: Any, pairs: list[Pair], pipes: list[Pipe], room: int
) -> None:
    """S-276, S-277: beside user events, an end, and a file that is always ready."""
    pipes[0].close_w()
    pipes[1].write(b"x")
    with open("/dev/null", "rb") as null:
        changes = [
            user(1, fflags=NOTE_TRIGGER),
            read(null),
            read(pipes[0].r),
            read(pipes[1].r),
            write(pipes[2].w),
            read(pairs[0].fd_a),
            write(pairs[0].fd_a),
            user(2, fflags=NOTE_TRIGGER),
        ]
        apply(kq, *changes)
        seen = starved(kq, room, 240)
    assert len(seen) == len(changes), seen
    assert min(seen.values()) >= 240 * room / len(changes) / 2, seen


@pytest.mark.parametrize("room", [1, 2, 3])
def test_dispatch_and_enable_go_round(kq: Any, pairs: list[Pair], room: int) -> None:
    """S-276 with S-076: as a pool of workers uses it, each event enabled again when it is done."""
    changes = [make(pair.fd_a, EV_ADD | EV_DISPATCH) for pair in pairs for make in (read, write)]
    apply(kq, *changes)
    seen: Counter[tuple[int, int]] = Counter()
    again: list[Any] = []
    for _ in range(240):
        events = kq.control(again, room, 0)
        seen.update(keys(events))
        again = [
            (read if event.filter == -1 else write)(event.ident, EV_ENABLE) for event in events
        ]
    assert len(seen) == 6, seen
    assert min(seen.values()) >= 240 * room / 6 / 2, seen
