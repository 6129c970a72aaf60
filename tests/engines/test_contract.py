"""What a queue relies on, asked of each engine by itself: a row in the list is enough to be tested here."""

from __future__ import annotations

import errno
import os
import select
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from knote import engines
from knote._kernel.batch import Batch
from knote.masks import EDGE, IN, OUT
from tests import gates
from tests.support import installed
from tests.support.plumbing import Pipe
from tests.support.waiting import SOON, wait_until

ROOM = 64
TOKEN = 7 << 32


@pytest.fixture(params=installed.engine_names())
def one(request: pytest.FixtureRequest) -> Iterator[Any]:
    """An engine of each kind, whatever engines the other tests are about."""
    gates.apply(request.param)
    made = engines.choose(request.param)()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[Pipe]:
    """A second pipe."""
    made = Pipe()
    yield made
    made.close()


def seen(engine: Any, room: int = ROOM, seconds: float = 0) -> list[tuple[int, int]]:
    """What a wait reports: (token, mask)."""
    batch = Batch()
    batch.reserve(room)
    deadline = time.monotonic_ns() + int(seconds * 1e9) if seconds else 0
    while (n := engine.wait(batch, room, deadline)) == -errno.EINTR:
        pass
    assert n >= 0, os.strerror(-n)
    return batch.pairs(n)


def polls(engine: Any) -> bool:
    """The engine's descriptor is readable."""
    poller = select.poll()
    poller.register(engine.number, select.POLLIN)
    return bool(poller.poll(0))


def test_a_level_is_reported_as_long_as_it_lasts(one: Any, pipe: Pipe) -> None:
    assert one.watch(pipe.r, 0, IN, TOKEN) == 0
    assert seen(one) == []
    pipe.write(b"x")
    for _ in range(3):
        assert seen(one, seconds=SOON) == [(TOKEN, IN)]
    os.read(pipe.r, 1)
    assert seen(one) == []


def test_an_edge_is_reported_once(one: Any, pipe: Pipe) -> None:
    if not one.traits.edge:
        return  # what it lacks is in a lane (tests/behaviour)
    assert one.watch(pipe.r, 0, IN | EDGE, TOKEN) == 0
    pipe.write(b"x")
    assert seen(one, seconds=SOON) == [(TOKEN, IN)]
    assert seen(one) == []
    pipe.write(b"y")
    assert seen(one, seconds=SOON) == [(TOKEN, IN)]


def test_what_is_changed_and_taken_back(one: Any, pipe: Pipe) -> None:
    assert one.watch(pipe.w, 0, OUT, TOKEN) == 0
    assert seen(one) == [(TOKEN, OUT)]
    assert one.watch(pipe.w, OUT, IN, TOKEN) == 0
    assert seen(one) == []
    assert one.watch(pipe.w, IN, OUT, TOKEN) == 0
    assert seen(one) == [(TOKEN, OUT)]
    assert one.watch(pipe.w, OUT, 0, TOKEN) == 0
    assert seen(one) == []
    assert one.watch(pipe.w, 0, OUT, TOKEN + 1) == 0
    assert seen(one) == [(TOKEN + 1, OUT)]


def test_who_cannot_be_watched(one: Any, pipe: Pipe) -> None:
    with open(__file__) as file:
        assert one.watch(file.fileno(), 0, IN, TOKEN) == -errno.EPERM
    fd = pipe.r
    pipe.close_r()
    assert one.watch(fd, 0, IN, TOKEN) == -errno.EBADF
    assert seen(one) == []


def test_staged_changes_are_made_up_to_the_first_refusal(one: Any, pipe: Pipe, other: Pipe) -> None:
    fd = other.r
    other.close_r()
    pipe.write(b"x")
    assert one.stage(pipe.r, 0, IN, TOKEN) == 0
    assert one.stage(fd, 0, IN, TOKEN + 1) == 0
    assert one.stage(pipe.w, 0, OUT, TOKEN + 2) == 0
    assert one.flush() == 1
    assert seen(one) == [(TOKEN, IN)]
    assert one.flush() == 0
    assert one.stage(pipe.w, 0, OUT, TOKEN + 2) == 0
    assert one.flush() == 1
    assert sorted(seen(one)) == [(TOKEN, IN), (TOKEN + 2, OUT)]


def test_a_number_that_is_another_file(one: Any) -> None:
    """Two eventfds have one inode: the kernel alone can tell (S-401)."""
    fd, another = os.eventfd(1), os.eventfd(0)
    try:
        assert one.watch(fd, 0, IN, TOKEN) == 0
        assert one.holds(fd)
        os.dup2(another, fd)
        assert not one.holds(fd)
        assert one.watch(fd, IN, OUT, TOKEN) == -errno.ENOENT
        assert seen(one) == []
    finally:
        os.close(fd)
        os.close(another)


def test_a_closed_number_is_not_reported(one: Any, pipe: Pipe, other: Pipe) -> None:
    for number, which in enumerate((pipe, other)):
        assert one.watch(which.r, 0, IN, TOKEN + number) == 0
        which.write(b"x")
    pipe.close_r()
    for _ in range(3):
        assert [token for token, _ in seen(one)] in ([], [TOKEN + 1])
    assert seen(one) == [(TOKEN + 1, IN)]


def test_its_descriptor_says_whether_there_is_something(one: Any, pipe: Pipe) -> None:
    if not one.traits.pollable:
        return
    assert one.watch(pipe.r, 0, IN, TOKEN) == 0
    assert not polls(one)
    pipe.write(b"x")
    assert polls(one)
    assert one.watch(pipe.r, IN, 0, TOKEN) == 0
    assert not polls(one)


def test_all_have_their_turn(one: Any) -> None:
    """With room for two of seven, each is reported in any four waits."""
    with ExitStack() as stack:
        for number in range(7):
            made = Pipe()
            stack.callback(made.close)
            made.write(b"x")
            assert one.watch(made.r, 0, IN, TOKEN + number) == 0
        got = [token for _ in range(4) for token, _ in seen(one, 2)]
        assert len(got) == 8
        assert set(got) == {TOKEN + number for number in range(7)}


def test_rebuilt_it_knows_nobody_and_keeps_its_number(one: Any, pipe: Pipe) -> None:
    pipe.write(b"x")
    assert one.watch(pipe.r, 0, IN, TOKEN) == 0
    number = one.number
    assert one.rebuild() == 0
    assert one.number == number
    assert seen(one) == []
    assert one.watch(pipe.r, 0, IN, TOKEN) == 0
    assert seen(one, seconds=SOON) == [(TOKEN, IN)]


def test_a_wait_is_not_too_short(one: Any, pipe: Pipe) -> None:
    assert one.watch(pipe.r, 0, IN, TOKEN) == 0
    before = time.monotonic_ns()
    assert seen(one, seconds=0.02) == []
    assert time.monotonic_ns() - before >= 20_000_000


def test_a_change_takes_effect_while_others_wait(one: Any, pipe: Pipe, other: Pipe) -> None:
    """Several of them at once; the set changes under them again and again."""
    if one.traits.single_thread:
        return
    got: list[list[tuple[int, int]]] = []
    assert one.watch(pipe.r, 0, IN, TOKEN) == 0
    waiters = [threading.Thread(target=lambda: got.append(seen(one, seconds=SOON))) for _ in range(3)]
    for waiter in waiters:
        waiter.start()
    wait_until(lambda: all(_sleeps(waiter.native_id) for waiter in waiters))
    for _ in range(100):
        assert one.watch(other.w, 0, IN, TOKEN + 1) == 0
        assert one.watch(other.w, IN, 0, TOKEN + 1) == 0
    assert one.watch(other.r, 0, IN, TOKEN + 2) == 0
    assert got == []
    other.write(b"x")
    wait_until(lambda: len(got) > 0)
    # By level all see it; of an engine that wakes one waiter only, the others see the next.
    wait_until(lambda: bool(seen(one)) or len(got) == 3)
    for waiter in waiters:
        waiter.join()
    assert got == [[(TOKEN + 2, IN)]] * 3


def _sleeps(task: int | None) -> bool:
    try:
        with open(f"/proc/self/task/{task}/wchan") as file:
            return file.read() not in ("", "0") and "futex" not in file.name
    except FileNotFoundError:
        return False


def test_closed_twice(one: Any) -> None:
    one.close()
    assert one.number == -1
    one.close()
