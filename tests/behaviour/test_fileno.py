"""The queue as a descriptor: in other loops, by fromfd(), and what it is not."""

from __future__ import annotations

import asyncio
import gc
import os
import select
import selectors
import threading
from collections.abc import Callable
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_DISABLE, EV_ENABLE, EV_ONESHOT
from knote.loops.selector import KqueueSelector
from tests.behaviour.words import ROOM, apply, idle, polls, read, ready, timer, trigger, user, write
from tests.support.events import brief
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import SOON, wait_until


def by_select(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def by_poll(fd: int) -> bool:
    poller = select.poll()
    poller.register(fd, select.POLLIN | select.POLLOUT)
    return bool(poller.poll(0))


def by_epoll(fd: int) -> bool:
    with select.epoll() as poller:
        poller.register(fd, select.EPOLLIN | select.EPOLLOUT)
        return bool(poller.poll(0))


def by_kqueue(fd: int) -> bool:
    with knote.kqueue() as outer:
        return bool(outer.control([read(fd)], 1, 0))


ASKED = pytest.mark.parametrize("readable", [by_select, by_poll, by_epoll, by_kqueue])


@ASKED
def test_readable_while_something_is_pending(
    kq: Any, pipe: Pipe, socketpair: Pair, readable: Callable[[int], bool]
) -> None:
    """S-001, S-013, S-014, S-471: over-reporting is legal, under-reporting is not; and after a
    collect that found nothing it is neither."""
    fd = kq.fileno()
    assert not readable(fd)
    apply(kq, read(pipe.r), user(1), read(socketpair.a, EV_ADD | EV_CLEAR))
    assert ready(kq) == []
    assert not readable(fd)
    pipe.write(b"x")
    assert readable(fd)
    ready(kq)
    assert readable(fd)
    pipe.drain()
    idle(kq)
    assert not readable(fd)
    apply(kq, trigger(1))
    assert readable(fd)
    ready(kq)
    assert readable(fd)
    apply(kq, user(1, EV_DELETE))
    idle(kq)
    socketpair.b.send(b"x")
    assert readable(fd)
    ready(kq)
    assert not readable(fd)


@ASKED
def test_readable_by_a_timer_and_an_edge_of_room(
    kq: Any, socketpair: Pair, readable: Callable[[int], bool]
) -> None:
    """S-013: by what has a descriptor of its own, inside."""
    fd = kq.fileno()
    apply(kq, timer(1, EV_ADD | EV_ONESHOT, data=2))
    wait_until(lambda: readable(fd))
    wait_until(lambda: ready(kq))
    assert not readable(fd)
    both = [read(socketpair.a, EV_ADD | EV_CLEAR), write(socketpair.a, EV_ADD | EV_CLEAR)]
    apply(kq, *both)
    assert readable(fd)
    assert len(ready(kq)) == 1
    assert ready(kq) == []
    assert not readable(fd)


def test_not_readable_by_what_is_disabled_once_it_was_looked_at(kq: Any, pipe: Pipe) -> None:
    """S-014, S-066."""
    apply(kq, read(pipe.r), read(pipe.r, EV_DISABLE), user(1, EV_ADD | EV_DISABLE))
    apply(kq, trigger(1))
    pipe.write(b"x")
    idle(kq)
    assert not polls(kq)
    apply(kq, user(1, EV_ENABLE))
    assert polls(kq)


def test_more_than_there_was_room_for_keeps_it_readable(kq: Any) -> None:
    """S-277, S-471."""
    apply(kq, *(user(ident, EV_ADD | EV_CLEAR) for ident in range(5)))
    apply(kq, *(trigger(ident) for ident in range(5)))
    for _ in range(5):
        assert polls(kq)
        assert len(kq.control(None, 1, 0)) == 1
    idle(kq)
    assert not polls(kq)


def test_a_waiter_elsewhere_is_woken(kq: Any) -> None:
    """S-013: poll(2) in another thread sees the trigger."""
    poller = select.poll()
    poller.register(kq.fileno(), select.POLLIN)
    seen: list[Any] = []
    other = threading.Thread(target=lambda: seen.extend(poller.poll(SOON * 1000)))
    other.start()
    apply(kq, user(1), trigger(1))
    other.join()
    assert seen == [(kq.fileno(), select.POLLIN)]


def test_in_asyncio(kq: Any, pipe: Pipe) -> None:
    """S-343: in somebody else's loop."""
    got: list[str] = []

    async def main() -> None:
        done = asyncio.Event()

        def collect() -> None:
            got.extend(brief(ready(kq)))
            if len(got) >= 2:
                done.set()

        loop = asyncio.get_running_loop()
        loop.add_reader(kq.fileno(), collect)
        apply(kq, read(pipe.r, EV_ADD | EV_CLEAR), user(1, EV_ADD | EV_CLEAR))
        loop.call_soon(pipe.write, b"x")
        loop.call_soon(apply, kq, trigger(1))
        await asyncio.wait_for(done.wait(), SOON)
        loop.remove_reader(kq.fileno())

    asyncio.run(main())
    assert sorted(got) == ["1 USER CLEAR d=0", f"{pipe.r} READ CLEAR d=1"]


@pytest.mark.needs("trio")
def test_in_trio(kq: Any, pipe: Pipe) -> None:
    """S-343: trio.lowlevel.wait_readable(), which watches with epoll and by one shot."""
    import trio
    import trio.testing

    got: list[str] = []

    async def collect() -> None:
        while len(got) < 2:
            await trio.lowlevel.wait_readable(kq.fileno())
            got.extend(brief(ready(kq)))

    async def main() -> None:
        with trio.fail_after(SOON):
            async with trio.open_nursery() as nursery:
                apply(kq, read(pipe.r, EV_ADD | EV_CLEAR), user(1, EV_ADD | EV_CLEAR))
                nursery.start_soon(collect)
                await trio.testing.wait_all_tasks_blocked()
                pipe.write(b"x")
                await trio.testing.wait_all_tasks_blocked()
                apply(kq, trigger(1))

    trio.run(main)
    assert got == [f"{pipe.r} READ CLEAR d=1", "1 USER CLEAR d=0"]


SELECTORS = [selectors.SelectSelector, selectors.PollSelector, selectors.EpollSelector, KqueueSelector]


@pytest.mark.parametrize("kind", SELECTORS)
def test_in_a_selector(kq: Any, pipe: Pipe, kind: type[selectors.BaseSelector]) -> None:
    """S-343: the queue itself is registered: it has a fileno()."""
    with kind() as selector:
        selector.register(kq, selectors.EVENT_READ, "queue")
        selector.register(pipe.w, selectors.EVENT_WRITE, "pipe")
        apply(kq, read(pipe.r))
        assert [key.data for key, _ in selector.select(0)] == ["pipe"]
        pipe.write(b"x")
        assert sorted(key.data for key, _ in selector.select(SOON)) == ["pipe", "queue"]
        assert brief(ready(kq)) == [f"{pipe.r} READ d=1"]
        pipe.drain()
        assert ready(kq) == []
        assert [key.data for key, _ in selector.select(0)] == ["pipe"]
        timed = [timer(1, EV_ADD | EV_ONESHOT, data=1)]
        apply(kq, *timed)
        selector.unregister(pipe.w)
        assert [key.data for key, _ in selector.select(SOON)] == ["queue"]


# ---- fromfd ------------------------------------------------------------------------------------


def test_two_handles_on_one_queue(kq: Any, pipe: Pipe) -> None:
    """S-294, S-330: registered through the one, returned through the other."""
    other = knote.kqueue.fromfd(kq.fileno())
    assert type(other) is type(kq)
    assert other.fileno() == kq.fileno()
    assert (other == kq, other != kq) == (False, True)
    assert hash(other) != hash(kq) or other is not kq
    pipe.write(b"x")
    apply(kq, read(pipe.r, udata=pipe))
    for handle in (other, kq):
        (event,) = ready(handle)
        assert event.udata is pipe
    apply(other, read(pipe.r, EV_DELETE))
    idle(kq)


def test_letting_go_of_a_handle_closes_nothing(kq: Any, pipe: Pipe) -> None:
    """S-294 →K: shared state with a count."""
    pipe.write(b"x")
    other = knote.kqueue.fromfd(kq.fileno())
    apply(other, read(pipe.r))
    del other
    gc.collect()
    assert brief(ready(kq)) == [f"{pipe.r} READ d=1"]


def test_the_first_handle_may_go(engine: str, pipe: Pipe) -> None:
    """S-294: the other way round."""
    first = knote.kqueue(engine=engine)
    other = knote.kqueue.fromfd(first.fileno())
    del first
    gc.collect()
    pipe.write(b"x")
    assert brief(ready(other, read(pipe.r))) == [f"{pipe.r} READ d=1"]
    other.close()


def test_closing_one_closes_both(engine: str) -> None:
    """S-294: one number, so one close(2)."""
    first = knote.kqueue(engine=engine)
    other = knote.kqueue.fromfd(first.fileno())
    other.close()
    with pytest.raises((ValueError, OSError)):
        first.control(None, 1, 0)
    assert first.closed
    first.close()


def test_a_number_that_is_no_queue(pipe: Pipe) -> None:
    """S-022, S-294; trace kevent_bad_kq: found out by control()."""
    handle = knote.kqueue.fromfd(os.dup(pipe.r))
    for call in (lambda: handle.control(None, 8, 0), lambda: handle.control([user(1)], 0)):
        with pytest.raises(OSError, match="no kqueue of this process") as raised:
            call()
        assert raised.value.errno == 9
    handle.close()
    handle = knote.kqueue.fromfd(777)
    with pytest.raises(OSError, match="777"):
        handle.control(None, 8, 0)


@pytest.mark.parametrize("wrong", ["3", 1.5, None, object()])
def test_what_is_no_number(wrong: Any) -> None:
    with pytest.raises(TypeError):
        knote.kqueue.fromfd(wrong)


# ---- the object --------------------------------------------------------------------------------


def test_a_new_queue(kq: Any) -> None:
    """S-001, S-328, S-334."""
    assert kq.fileno() > 0
    assert not kq.closed
    assert not os.get_inheritable(kq.fileno())
    assert kq.control(None, ROOM, 0) == []
    assert not polls(kq)
    assert str(kq.fileno()) in repr(kq)


def test_compared_by_identity(kq: Any, engine: str) -> None:
    """S-296."""
    with knote.kqueue(engine=engine) as other:
        assert len({kq, other, kq}) == 2
        assert kq == kq
        assert kq != other
        with pytest.raises(TypeError):
            kq < other


def test_no_attributes_of_ones_own(kq: Any) -> None:
    """S-289, S-292."""
    with pytest.raises(AttributeError):
        kq.closed = True
    with pytest.raises(AttributeError):
        kq.other = 1


def test_as_a_context_manager(engine: str) -> None:
    """S-289 →K."""
    with knote.kqueue(engine=engine) as queue:
        assert ready(queue, user(1)) == []
    assert queue.closed
    with pytest.raises(LookupError), knote.kqueue(engine=engine) as queue:
        raise LookupError
    assert queue.closed


@pytest.mark.needs("high numbers")
def test_five_hundred_queues(engine: str) -> None:
    """Spec section 8 rule 11; the fixture counts the descriptors afterwards."""
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    count = min(500, (soft - 100) // 4)
    queues = [knote.kqueue(engine=engine) for _ in range(count)]
    for number, queue in enumerate(queues):
        apply(queue, user(number))
    for number, queue in enumerate(queues):
        assert [event.ident for event in ready(queue, trigger(number))] == [number]
    for queue in queues:
        queue.close()
    assert hard


def test_no_descriptors_left(engine: str) -> None:
    """S-003: EMFILE, and what to do about it; and nothing half made is left behind."""
    import resource

    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    try:
        for spare in (0, 1):
            resource.setrlimit(resource.RLIMIT_NOFILE, (lowest + spare, limits[1]))
            with pytest.raises(OSError, match="RLIMIT_NOFILE") as raised:
                knote.kqueue(engine=engine)
            assert raised.value.errno == 24
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    knote.kqueue(engine=engine).close()
