"""What the kernel keeps of a number's earlier lives, and edges that have no room: neither gives a wrong event."""

from __future__ import annotations

import errno
import os
import resource
import select
import socket
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ONESHOT,
    NOTE_LOWAT,
    NOTE_NODATA,
)
from tests.behaviour.words import ROOM, apply, idle, read, ready, write
from tests.support.events import brief, idents
from tests.support.plumbing import Pair, Pipe, unix_pair

MANY = 6


def refused(kq: Any, change: Any) -> None:
    """There is no such knote, and the number is open."""
    with pytest.raises(OSError) as raised:
        apply(kq, change)
    assert raised.value.errno == errno.ENOENT


@contextmanager
def back_and_forth(kq: Any, one: Pair, other: Pair, flags: int = EV_ADD) -> Iterator[int]:
    """A number that was one's when it was registered, other's when it was registered again, and is one's now: the
    kernel holds an interest of the number for each of them."""
    fd = one.a.fileno()
    keeper = os.dup(fd)
    apply(kq, read(fd, flags, udata="first"))
    os.dup2(other.a.fileno(), fd)
    apply(kq, read(fd, flags, udata="second"))
    os.dup2(keeper, fd)
    yield fd
    os.close(keeper)


@pytest.mark.parametrize("flags", [EV_ADD, EV_ADD | EV_CLEAR], ids=["level", "clear"])
@pytest.mark.parametrize("how", ["argument", "environment"])
def test_a_strict_queue_returns_none(
    engine: str, monkeypatch: pytest.MonkeyPatch, how: str, flags: int
) -> None:
    """S-084, S-397: not even the first event of a number that is another file's by now."""
    if how == "environment":
        monkeypatch.setenv("KNOTE_STRICT", "1")
    with (
        knote.kqueue(engine=engine, strict=True if how == "argument" else None) as kq,
        unix_pair() as one, unix_pair() as other,
    ):  # fmt: skip
        apply(kq, read(one.a, flags, NOTE_NODATA))
        keeper = os.dup(one.a.fileno())
        os.dup2(other.a.fileno(), one.a.fileno())
        one.b.send(b"x")
        other.b.send(b"y")
        idle(kq)
        assert kq.knotes() == []
        os.close(keeper)


def test_a_number_that_is_another_file_makes_no_edge_of_others(kq: Any, socketpair: Pair) -> None:
    """An engine that knows numbers looks at the new file no more for what was asked of the old one: its reports
    would be nobody's, and the set that is built anew for them reports every edge afresh."""
    with Pipe() as one, Pipe() as other:
        assert isinstance(one, Pipe) and isinstance(other, Pipe)
        one.close_w()
        assert idents(ready(kq, read(one.r))) == [one.r]
        os.dup2(other.r, one.r)
        other.close_w()
        found = ready(kq, write(socketpair.a, EV_ADD | EV_CLEAR), read(one.r, EV_ADD | EV_CLEAR))
        assert sorted(idents(found)) == sorted([socketpair.fd_a, one.r])
        for _ in range(3):
            assert ready(kq) == []


# ---- changes -----------------------------------------------------------------------------------


@pytest.mark.parametrize("flags", [EV_ADD, EV_ADD | EV_CLEAR], ids=["level", "clear"])
def test_deleting_what_went_with_its_number(kq: Any, flags: int) -> None:
    """S-084, S-398: epoll deletes the interest of the first life, and says that all is well."""
    with unix_pair() as one, unix_pair() as other, back_and_forth(kq, one, other, flags) as fd:
        refused(kq, read(fd, EV_DELETE))
        idle(kq)


@pytest.mark.parametrize("flags", [EV_ADD, EV_ADD | EV_CLEAR], ids=["level", "clear"])
@pytest.mark.parametrize("together", [True, False], ids=["one list", "one by one"])
def test_another_filter_does_not_keep_them(kq: Any, flags: int, together: bool) -> None:
    """S-087: adding WRITE changes the interest of the first life, so READ lived on, with another file."""
    with unix_pair() as one, unix_pair() as other, back_and_forth(kq, one, other, flags) as fd:
        if together:
            apply(kq, write(fd, flags), write(one.b, EV_ADD | EV_ONESHOT))
        else:
            apply(kq, write(fd, flags))
        one.b.send(b"x")
        other.b.send(b"y")
        assert [kn.filter for kn in kq.knotes() if kn.ident == fd] == [-2]
        for event in ready(kq) + ready(kq):
            assert event.udata not in ("first", "second")
        refused(kq, read(fd, EV_ENABLE))


def test_added_again_in_its_first_life(kq: Any) -> None:
    """S-087: what the kernel kept is taken over by the new knote."""
    with unix_pair() as one, unix_pair() as other, back_and_forth(kq, one, other) as fd:
        apply(kq, read(fd, udata="third"))
        one.b.send(b"123")
        for _ in range(3):
            assert brief(ready(kq)) == [f"{fd} READ d=3 u=third"]
        assert ready(kq, read(fd, EV_DELETE)) == []
        other.b.send(b"1")
        idle(kq)


def test_the_other_end_of_the_pipe(kq: Any, pipe: Pipe) -> None:
    """S-401: both ends have one inode; what tells them apart is what they may do."""
    fd, keeper = pipe.r, os.dup(pipe.r)
    apply(kq, read(fd, udata="first"))
    os.dup2(pipe.w, fd)
    assert brief(ready(kq, write(fd, udata="second"))) == [f"{fd} WRITE u=second"]
    os.dup2(keeper, fd)
    refused(kq, write(fd, EV_DELETE))
    idle(kq)
    os.close(keeper)


def test_judged_by_what_the_number_is_now(kq: Any) -> None:
    """S-086: the number was a pipe's when READ was added; a socket in error refuses no WRITE, as a pipe would."""
    with ExitStack() as stack:
        r, w = os.pipe()
        stack.callback(os.close, w)
        apply(kq, read(r, EV_ADD | EV_DISPATCH))
        with unix_pair() as pair:
            pair.a.send(b"never read")
            os.dup2(pair.a.fileno(), r)
            stack.callback(os.close, r)
            pair.b.close()
            apply(kq, write(r, EV_ADD | EV_ONESHOT))
            assert idents(ready(kq)) == [r]
            refused(kq, read(r, EV_ENABLE))


def test_a_file_that_got_the_inode_of_another(kq: Any) -> None:
    """S-087: a file system gives an inode number again at once; the file is another one all the same."""
    fds: list[int] = []
    for turn in range(20):
        with tempfile.TemporaryFile(buffering=0) as file:
            file.write(b"12345"[: turn % 5 + 1])
            file.seek(0)
            fds.append(file.fileno())
            flags = EV_ADD | EV_CLEAR if turn % 2 else EV_ADD
            assert [event.flags for event in ready(kq, read(fds[-1], flags))] == [flags & EV_CLEAR]
    assert len(set(fds)) == 1


# ---- events ------------------------------------------------------------------------------------


@pytest.mark.parametrize("right", [0, 1, 2, 5], ids=lambda n: f"after {n}")
def test_stale_events_are_few(kq: Any, right: int) -> None:
    """What differences.md allows: one of a new registration, else as many as it had right ones; nothing of a queue
    that has found one."""
    with ExitStack() as stack:
        stale = []
        for turn in range(2):
            one, other = stack.enter_context(unix_pair()), stack.enter_context(unix_pair())
            fd = one.a.fileno()
            stack.callback(os.close, os.dup(fd))
            one.b.send(b"x")
            other.b.send(b"y")
            apply(kq, read(fd, udata=turn))
            for _ in range(right):
                assert len(ready(kq)) == 1
            os.dup2(other.a.fileno(), fd)
            stale.append(sum(len(ready(kq)) for _ in range(300)))
            idle(kq)
        assert stale[0] <= max(right, 1)
        assert stale[1] == 0


def test_a_count_that_contradicts_the_report(kq: Any) -> None:
    """The old file has something to read and the new one has not: asked at once, and nothing is reported."""
    with unix_pair() as one, unix_pair() as other:
        fd, keeper = one.a.fileno(), os.dup(one.a.fileno())
        apply(kq, read(fd, EV_ADD | EV_CLEAR))
        os.dup2(other.a.fileno(), fd)
        one.b.send(b"x")
        assert ready(kq) == []
        assert kq.knotes() == []
        os.close(keeper)


def test_no_descriptor_for_a_lane(kq: Any) -> None:
    """EMFILE where a knote that is denied is to be watched by edge: its neighbour is reported all the same."""
    with unix_pair() as pair:
        apply(kq, read(pair.a, fflags=NOTE_LOWAT, data=100), write(pair.a))
        pair.b.send(b"x")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            first = idents(kq.control(None, ROOM, 0))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert first == [pair.fd_a]
        assert idents(ready(kq)) == [pair.fd_a]
        pair.b.send(b"y" * 100)
        assert idents(ready(kq)) == [pair.fd_a] * 2


@pytest.mark.parametrize("flags", [EV_ADD, EV_ADD | EV_CLEAR, EV_ADD | EV_ONESHOT], ids=["level", "clear", "once"])
def test_a_program_that_may_open_nothing(kq: Any, pipe: Pipe, flags: int) -> None:
    """RLIMIT_NOFILE 0: poll(2) refuses to be asked about even one descriptor."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        pipe.write(b"123")
        assert [event.data for event in ready(kq, read(pipe.r, flags))] == [3]
        assert idents(ready(kq, write(pipe.w, flags))).count(pipe.w) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_no_descriptor_for_a_new_set(kq: Any, pipe: Pipe) -> None:
    """EMFILE where the kernel's set is to be built anew: what is disabled is disarmed, what is not goes on."""
    with ExitStack() as stack:
        gone, disabled = stack.enter_context(unix_pair()), stack.enter_context(unix_pair())
        apply(kq, read(gone.a), read(disabled.a), read(pipe.r))
        apply(kq, read(disabled.a, EV_DISABLE))
        stack.callback(os.close, os.dup(gone.fd_a))
        gone.a.close()
        gone.b.send(b"x")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            for _ in range(4):
                assert ready(kq) == []
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        disabled.b.send(b"x")
        idle(kq)
        poller = select.poll()
        poller.register(kq.fileno(), select.POLLIN)
        assert not poller.poll(0)
        pipe.write(b"x")
        assert idents(ready(kq)) == [pipe.r]


# ---- no room -----------------------------------------------------------------------------------


def test_an_edge_without_room_is_one_with_the_next(kq: Any) -> None:
    """S-071: what had no room, and happened again before it was returned, is returned once."""
    with ExitStack() as stack:
        pipes = [Pipe() for _ in range(MANY)]
        for pipe in pipes:
            stack.callback(pipe.close)
        apply(kq, *(read(pipe.r, EV_ADD | EV_CLEAR) for pipe in pipes))
        for pipe in pipes:
            pipe.write(b"1")
        came = idents(kq.control(None, 1, 0))
        for pipe in pipes:
            if pipe.r not in came:
                pipe.write(b"2")
        while events := kq.control(None, 1, 0):
            assert [event.data for event in events] == [2]
            came += idents(events)
        assert sorted(came) == sorted(pipe.r for pipe in pipes)


def test_edges_of_both_directions_without_room(kq: Any) -> None:
    """S-071, S-396: each comes once, however little room there is, and no other is passed over."""
    with ExitStack() as stack:
        pairs = [stack.enter_context(unix_pair()) for _ in range(MANY)]
        for pair in pairs:
            apply(kq, read(pair.a, EV_ADD | EV_CLEAR), write(pair.a, EV_ADD | EV_CLEAR))
        came: list[tuple[int, int]] = []
        for _ in range(2 * MANY):
            for pair in pairs:
                if (-1, pair.fd_a) not in came:
                    pair.b.send(b"x")
            (event,) = kq.control(None, 1, 0)
            came.append((event.filter, event.ident))
        assert len(set(came)) == 2 * MANY
        idle(kq)


def test_a_call_with_room_returns_all(kq: Any) -> None:
    """S-270: a disabled neighbour, a denied one and a lane of its own take no other's place."""
    with ExitStack() as stack:
        pairs = [stack.enter_context(unix_pair()) for _ in range(3)]
        first, second, third = pairs
        apply(kq, write(first.a, EV_ADD | EV_CLEAR), write(first.b, EV_ADD | EV_CLEAR | EV_DISPATCH))
        assert len(ready(kq)) == 2
        first.a.shutdown(socket.SHUT_RD)
        apply(kq, write(second.b, EV_ADD | EV_CLEAR), write(third.a, EV_ADD | EV_CLEAR))
        assert len(kq.control(None, 3, 0)) == 3


def test_a_call_with_room_passes_over_what_is_denied(kq: Any) -> None:
    """S-270: behind many that are below their mark there is one more that is true."""
    with ExitStack() as stack:
        pairs = [stack.enter_context(unix_pair()) for _ in range(40)]
        for pair in pairs:
            pair.b.send(b"five.")
        marks = [1, *[100] * 38, 1]
        apply(kq, *(read(pair.a, EV_ADD, NOTE_LOWAT, mark) for pair, mark in zip(pairs, marks, strict=True)))
        assert idents(kq.control(None, 2, 0)) == [pairs[0].fd_a, pairs[-1].fd_a]


def test_an_end_of_file_is_not_invented(kq: Any) -> None:
    """RLIMIT_NOFILE 0, and a knote that is asked without the engine's word: select(2) answers for poll(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with unix_pair() as pair:
        pair.b.send(b"x")
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            (event,) = ready(kq, read(pair.a, EV_ADD, NOTE_LOWAT, 0))
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        assert (event.flags, event.data) == (0, 1)


def test_a_mark_of_nothing_is_told_once(kq: Any) -> None:
    """S-073; trace lowat_zero: NOTE_LOWAT of 0 with EV_CLEAR is true at once, and is not returned by the engine's
    word, too."""
    with unix_pair() as pair:
        pair.b.send(b"12345")
        apply(kq, read(pair.a, EV_ADD | EV_CLEAR, NOTE_LOWAT, 0))
        assert [event.data for event in kq.control(None, 1, 0)] == [5]
        assert kq.control(None, 1, 0) == []
        apply(kq, read(pair.a, EV_ADD, NOTE_LOWAT, 0))
        pair.a.recv(5)
        assert [event.data for event in kq.control(None, 1, 0)] == [0]
        idle(kq)


def test_marks_of_nothing_with_little_room(kq: Any) -> None:
    """S-073: the engine tells of them in another order than they were made in; each comes once."""
    with unix_pair() as one, unix_pair() as other:
        apply(kq, read(one.a, EV_ADD | EV_CLEAR, NOTE_LOWAT, 0), read(other.a, EV_ADD | EV_CLEAR, NOTE_LOWAT, 0))
        other.b.send(b"x")
        one.b.send(b"x")
        came = [ident for _ in range(4) for ident in idents(kq.control(None, 1, 0))]
        assert sorted(came) == sorted([one.fd_a, other.fd_a])
