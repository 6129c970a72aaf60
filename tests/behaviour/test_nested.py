"""A queue in a queue: counts, chains, circles, and queues that go."""

from __future__ import annotations

import errno
import itertools
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack
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
    EV_ERROR,
    EV_ONESHOT,
    EVFILT_EXCEPT,
)
from tests.behaviour.words import apply, idle, polls, read, ready, timer, trigger, user, write
from tests.support import installed
from tests.support.events import brief
from tests.support.plumbing import Pipe
from tests.support.waiting import SOON


@pytest.fixture
def inner(engine: str) -> Iterator[Any]:
    with knote.kqueue(engine=engine) as made:
        yield made


def refusal(kq: Any, change: Any) -> int:
    (entry,) = ready(kq, change)
    assert entry.flags == EV_ERROR
    return int(entry.data)


def test_data_is_how_many_wait(kq: Any, inner: Any, pipe: Pipe) -> None:
    """S-015, S-018, S-136: at once, without waiting, and looking takes nothing from the inner one."""
    fd = inner.fileno()
    assert ready(kq, read(inner)) == []
    apply(inner, user(1), user(2), read(pipe.r))
    apply(inner, trigger(1))
    for _ in range(2):
        assert brief(ready(kq)) == [f"{fd} READ d=1"]
    apply(inner, trigger(2))
    pipe.write(b"x")
    assert brief(ready(kq)) == [f"{fd} READ d=3"]
    assert len(ready(inner)) == 3
    assert brief(ready(kq)) == [f"{fd} READ d=3"]
    apply(inner, user(1, EV_DELETE), user(2, EV_DELETE))
    pipe.drain()
    assert ready(inner) == []
    idle(kq)


@pytest.mark.parametrize(("flags", "text"), [(EV_ONESHOT, "ONESHOT"), (EV_DISPATCH, "DISPATCH")])
def test_once(kq: Any, inner: Any, flags: int, text: str) -> None:
    """S-069, S-076."""
    apply(inner, user(1), trigger(1))
    assert brief(ready(kq, read(inner, EV_ADD | flags))) == [f"{inner.fileno()} READ {text} d=1"]
    idle(kq)
    if flags == EV_DISPATCH:
        assert len(ready(kq, read(inner, EV_ENABLE))) == 1


def test_edges(kq: Any, inner: Any) -> None:
    """Trace nested_clear_outer: one more that waits is news."""
    apply(inner, user(1), user(2))
    assert ready(kq, read(inner, EV_ADD | EV_CLEAR)) == []
    apply(inner, trigger(1))
    assert brief(ready(kq)) == [f"{inner.fileno()} READ CLEAR d=1"]
    assert ready(kq) == []
    apply(inner, trigger(2))
    assert brief(ready(kq)) == [f"{inner.fileno()} READ CLEAR d=2"]
    assert ready(kq) == []


def test_disabled_inside_does_not_count(kq: Any, inner: Any) -> None:
    """S-014, S-067."""
    apply(inner, user(1), trigger(1))
    apply(inner, user(1, EV_DISABLE))
    ready(inner)
    assert ready(kq, read(inner)) == []
    apply(inner, user(1, EV_ENABLE))
    assert brief(ready(kq)) == [f"{inner.fileno()} READ d=1"]


def test_other_filters_are_refused(kq: Any, inner: Any) -> None:
    """S-015, S-156."""
    assert refusal(kq, write(inner)) == errno.EINVAL
    assert refusal(kq, knote.kevent(inner, EVFILT_EXCEPT)) == errno.EINVAL
    assert refusal(kq, knote.kevent(inner, knote.EVFILT_EMPTY)) == errno.EINVAL
    assert kq.knotes() == []


@pytest.mark.parametrize("length", [1, 2, 3, 4])
def test_circles_are_refused(engine: str, length: int) -> None:
    """S-016, S-017, "Decided" 4: of one, of two, of three ...; also by a handle of fromfd().  What was refused has
    left nothing: the chain goes on."""
    with ExitStack() as stack:
        queues = [stack.enter_context(knote.kqueue(engine=engine)) for _ in range(length)]
        for outer, inner in itertools.pairwise(queues):
            apply(outer, read(inner))
        assert refusal(queues[-1], read(queues[0])) == errno.EINVAL
        assert refusal(knote.kqueue.fromfd(queues[-1].fileno()), read(queues[0])) == errno.EINVAL
        with pytest.raises(OSError, match="not possible"):
            apply(queues[-1], read(queues[0], EV_ADD | EV_DISABLE))
        assert queues[-1].knotes() == []
        apply(queues[-1], user(1), trigger(1))
        assert len(ready(queues[0])) == 1


def test_a_circle_that_was_opened_is_none(kq: Any, inner: Any) -> None:
    """S-017: after the DELETE the other way round is free."""
    apply(kq, read(inner))
    assert refusal(inner, read(kq)) == errno.EINVAL
    apply(kq, read(inner, EV_DELETE))
    apply(inner, read(kq))
    apply(kq, user(1), trigger(1))
    assert brief(ready(inner)) == [f"{kq.fileno()} READ d=1"]


def test_how_deep(engine: str) -> None:
    """S-017, S-397: epoll(7) nests four deep; a fifth is refused, and those four work."""
    with ExitStack() as stack:
        queues = [stack.enter_context(knote.kqueue(engine=engine)) for _ in range(8)]
        depth, error = 0, 0
        for inner, outer in itertools.pairwise(queues):
            answer = ready(outer, read(inner, EV_ADD | knote.EV_RECEIPT))
            error = answer[0].data
            if error:
                break
            depth += 1
        # What an engine without edges cannot do is in an epoll set inside the queue's own.
        edges = installed.traits(engine).edge
        assert (depth, error) == (4 if edges else 3, errno.ELOOP)
        apply(queues[0], user(1), trigger(1))
        assert brief(queues[depth].control(None, 1, SOON)) == [f"{queues[depth - 1].fileno()} READ RECEIPT d=1"]
        assert queues[depth + 1].knotes() == []
        with pytest.raises(OSError, match="queues nest four deep"):
            apply(queues[depth + 1], read(queues[depth]))


def test_one_in_two(kq: Any, inner: Any, engine: str) -> None:
    """S-046: each outer queue sees it, and whoever collects takes it from both."""
    with knote.kqueue(engine=engine) as other:
        apply(kq, read(inner))
        apply(other, read(inner))
        apply(inner, timer(1, EV_ADD | EV_ONESHOT, data=1))
        assert len(kq.control(None, 1, SOON)) == 1
        assert len(ready(other)) == 1
        assert len(ready(inner)) == 1
        idle(kq)
        idle(other)


def test_an_inner_one_that_is_closed(kq: Any, inner: Any, engine: str) -> None:
    """S-084: its knote goes; the next queue of that number is another."""
    fd = inner.fileno()
    apply(inner, user(1), trigger(1))
    assert len(ready(kq, read(inner))) == 1
    inner.close()
    idle(kq)
    assert kq.knotes() == []
    with knote.kqueue(engine=engine) as next_:
        assert next_.fileno() == fd
        apply(next_, user(1), trigger(1))
        assert ready(kq) == []
        assert refusal(kq, read(fd, EV_DELETE)) == errno.ENOENT
        assert brief(ready(kq, read(fd))) == [f"{fd} READ d=1"]


def test_a_waiter_outside_is_woken(kq: Any, inner: Any, pipe: Pipe) -> None:
    """S-281: by whatever happens inside: a trigger, a timer, bytes."""
    apply(kq, read(inner))
    apply(inner, user(1, EV_ADD | EV_CLEAR), read(pipe.r))
    got: list[Any] = []
    for wake in (lambda: apply(inner, trigger(1)), lambda: pipe.write(b"x")):
        waiter = threading.Thread(target=lambda: got.extend(kq.control(None, 1, SOON)))
        waiter.start()
        wake()
        waiter.join()
        assert len(ready(inner)) == 1
    assert [event.ident for event in got] == [inner.fileno()] * 2


def test_its_numbers_dup(kq: Any, inner: Any) -> None:
    """S-008: a dup of the descriptor polls, but is no queue that this process knows by number."""
    kept = os.dup(inner.fileno())
    try:
        apply(inner, user(1), trigger(1))
        (event,) = ready(kq, read(kept))
        assert event.ident == kept
        assert polls(kq)
    finally:
        os.close(kept)
