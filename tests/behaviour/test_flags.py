"""EV_*: alone and in combination, what sticks to a knote and what only acts; udata's rules."""

from __future__ import annotations

import errno
import itertools
import os
from typing import Any

import pytest

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_EOF,
    EV_ERROR,
    EV_FLAG1,
    EV_FORCEONESHOT,
    EV_KEEPUDATA,
    EV_ONESHOT,
    EV_RECEIPT,
    NOTE_LOWAT,
    kevent,
)
from tests.behaviour.words import apply, idle, read, ready, user, write
from tests.support.events import brief
from tests.support.plumbing import Pair, Pipe

STICKY = EV_CLEAR | EV_ONESHOT | EV_DISPATCH | EV_RECEIPT
ACTIONS = [
    EV_ADD, EV_DELETE, EV_ENABLE, EV_DISABLE, EV_ONESHOT, EV_CLEAR, EV_RECEIPT, EV_DISPATCH,
    EV_FORCEONESHOT, EV_KEEPUDATA,
]  # fmt: skip
EVERY = [
    sum(some)
    for count in range(len(ACTIONS) + 1)
    for some in itertools.combinations(ACTIONS, count)
]


def gone(kq: Any, change: kevent) -> bool:
    """There is no such knote."""
    (receipt,) = ready(kq, kevent(change.ident, change.filter, EV_DELETE | EV_RECEIPT))
    return int(receipt.data) == errno.ENOENT


# ---- every combination -------------------------------------------------------------------------


def on_nothing(flags: int) -> int:
    """FreeBSD's answer to the flags where there is no knote: an errno, or 0."""
    if flags & EV_ENABLE and flags & EV_DISABLE:
        return errno.EINVAL
    if not flags & EV_ADD:
        return errno.ENOENT
    return errno.EINVAL if flags & EV_KEEPUDATA else 0


def on_a_knote(flags: int) -> int:
    """The same where there is one."""
    pairs = (EV_ENABLE | EV_DISABLE, EV_ADD | EV_KEEPUDATA)
    return errno.EINVAL if any(flags & pair == pair for pair in pairs) else 0


def test_every_combination_on_a_descriptor_without_a_knote(kq: Any, pipe: Pipe) -> None:
    """S-048 ... S-052, S-078: accepted or refused as by FreeBSD, and what comes back shows the
    sticky ones and nothing else (S-061)."""
    pipe.write(b"x")
    for flags in EVERY:
        (receipt,) = ready(kq, read(pipe.r, flags | EV_RECEIPT))
        assert receipt.data == on_nothing(flags), hex(flags)
        events = ready(kq)
        if receipt.data or flags & EV_DISABLE:
            assert events == [], hex(flags)
        else:
            shown = (flags | EV_RECEIPT) & STICKY
            assert [event.flags for event in events] == [shown], hex(flags)
        if not receipt.data and not (events and flags & EV_ONESHOT):
            apply(kq, read(pipe.r, EV_DELETE))
    assert ready(kq) == []


def test_every_combination_on_a_level_knote(kq: Any, pipe: Pipe) -> None:
    """S-049, S-050, S-056: flags given later do not stick; EV_FORCEONESHOT is the exception."""
    pipe.write(b"x")
    for flags in EVERY:
        apply(kq, read(pipe.r))
        (receipt,) = ready(kq, read(pipe.r, flags | EV_RECEIPT))
        assert receipt.data == on_a_knote(flags), hex(flags)
        deleted = not receipt.data and flags & EV_DELETE
        acts = not receipt.data and not deleted
        events = ready(kq)
        if deleted or (acts and flags & EV_DISABLE):
            assert events == [], hex(flags)
        else:
            once = EV_ONESHOT if acts and flags & EV_FORCEONESHOT else 0
            assert [event.flags for event in events] == [once], hex(flags)
        if not deleted and not (events and events[0].flags & EV_ONESHOT):
            apply(kq, read(pipe.r, EV_DELETE))
    assert ready(kq) == []


def test_system_flags_in_a_change_mean_nothing(kq: Any, pipe: Pipe) -> None:
    """S-039; trace sysflags_ignored."""
    pipe.write(b"x")
    changed = read(pipe.r, EV_ADD | EV_EOF | EV_ERROR | EV_FLAG1 | 0x1000)
    for _ in range(2):
        assert brief(ready(kq, changed)) == [f"{pipe.r} READ d=1"]


# ---- ADD and DELETE ----------------------------------------------------------------------------


def test_add_twice_is_one_knote(kq: Any, pipe: Pipe) -> None:
    """S-044, S-055; trace duplicate_adds."""
    pipe.write(b"x")
    assert brief(ready(kq, read(pipe.r, udata=1), read(pipe.r, udata=2))) == [
        f"{pipe.r} READ d=1 u=2"
    ]
    apply(kq, read(pipe.r, EV_DELETE))
    assert gone(kq, read(pipe.r))


def test_add_and_delete_in_one_change(kq: Any, pipe: Pipe) -> None:
    """S-050: creates what is not there, deletes what is."""
    pipe.write(b"x")
    assert brief(ready(kq, read(pipe.r, EV_ADD | EV_DELETE))) == [f"{pipe.r} READ d=1"]
    assert ready(kq, read(pipe.r, EV_ADD | EV_DELETE)) == []
    assert gone(kq, read(pipe.r))


def test_delete_takes_what_is_pending_along(kq: Any, pipe: Pipe) -> None:
    """S-064, S-065: by identity alone."""
    pipe.write(b"x")
    apply(kq, read(pipe.r))
    assert ready(kq, read(pipe.r, EV_DELETE, NOTE_LOWAT, 99, "other")) == []
    idle(kq)
    assert gone(kq, read(pipe.r))


def test_two_filters_are_two_knotes(kq: Any, socketpair: Pair) -> None:
    """S-045; trace same_fd_read_write."""
    fd = socketpair.fd_a
    socketpair.b.send(b"1234")
    added = [read(fd, udata=1), write(fd, EV_ADD | EV_DISPATCH, udata=2)]
    assert brief(ready(kq, *added)) == [f"{fd} READ d=4 u=1", f"{fd} WRITE DISPATCH u=2"]
    assert brief(ready(kq)) == [f"{fd} READ d=4 u=1"]
    assert ready(kq, read(fd, EV_DELETE)) == []
    assert brief(ready(kq, write(fd, EV_ENABLE, udata=3))) == [f"{fd} WRITE DISPATCH u=3"]


# ---- sticky flags ------------------------------------------------------------------------------


@pytest.mark.parametrize(("flag", "text"), [(EV_CLEAR, "CLEAR"), (EV_DISPATCH, "DISPATCH")])
def test_the_first_add_decides(kq: Any, pipe: Pipe, flag: int, text: str) -> None:
    """S-056; traces readd_adds_clear, readd_adds_dispatch, readd_drops_clear."""
    pipe.write(b"x")
    apply(kq, read(pipe.r))
    for _ in range(3):
        assert brief(ready(kq, read(pipe.r, EV_ADD | flag))) == [f"{pipe.r} READ d=1"]
    apply(kq, read(pipe.r, EV_DELETE), read(pipe.r, EV_ADD | flag))
    assert brief(ready(kq, read(pipe.r))) == [f"{pipe.r} READ {text} d=1"]
    assert ready(kq) == []


def test_enable_with_oneshot_is_enable(kq: Any, pipe: Pipe) -> None:
    """S-056; trace enable_with_oneshot."""
    pipe.write(b"x")
    apply(kq, read(pipe.r))
    for _ in range(3):
        assert brief(ready(kq, read(pipe.r, EV_ENABLE | EV_ONESHOT))) == [f"{pipe.r} READ d=1"]


# ---- CLEAR, ONESHOT, DISPATCH ------------------------------------------------------------------


def test_clear_reports_each_arrival_once(kq: Any, socketpair: Pair) -> None:
    """S-071, S-072, S-110; trace ss_clear_counts."""
    fd = socketpair.fd_a
    assert ready(kq, read(fd, EV_ADD | EV_CLEAR)) == []
    socketpair.b.send(b"123")
    assert brief(ready(kq)) == [f"{fd} READ CLEAR d=3"]
    assert ready(kq) == []
    socketpair.b.send(b"4")
    socketpair.b.send(b"5")
    assert brief(ready(kq)) == [f"{fd} READ CLEAR d=5"]
    socketpair.a.recv(1)
    idle(kq)


def test_a_change_evaluates_an_edge_afresh(kq: Any, pipe: Pipe) -> None:
    """S-073; trace pipe_readd_clear_rearm: what was not drained is reported again."""
    pipe.write(b"123")
    for flags in (EV_ADD | EV_CLEAR, EV_ADD | EV_CLEAR, EV_ADD, EV_ENABLE, 0):
        assert brief(ready(kq, read(pipe.r, flags))) == [f"{pipe.r} READ CLEAR d=3"]
        assert ready(kq) == []


def test_oneshot_is_gone_after_one(kq: Any, pipe: Pipe) -> None:
    """S-069; trace pipe_oneshot."""
    assert ready(kq, read(pipe.r, EV_ADD | EV_ONESHOT)) == []
    pipe.write(b"123")
    assert brief(ready(kq)) == [f"{pipe.r} READ ONESHOT d=3"]
    idle(kq)
    for flags in (EV_DELETE, EV_ENABLE, EV_DISABLE, 0):
        (entry,) = ready(kq, read(pipe.r, flags))
        assert entry.data == errno.ENOENT
    assert brief(ready(kq, read(pipe.r))) == [f"{pipe.r} READ d=3"]


def test_oneshot_is_judged_when_it_is_collected(kq: Any, pipe: Pipe) -> None:
    """S-070, differently, as macOS: FreeBSD returns what was true; trace pipe_oneshot_drained."""
    apply(kq, read(pipe.r, EV_ADD | EV_ONESHOT))
    pipe.write(b"12")
    os.read(pipe.r, 2)
    idle(kq)
    pipe.write(b"3")
    assert brief(ready(kq)) == [f"{pipe.r} READ ONESHOT d=1"]
    idle(kq)


def test_oneshot_wins_over_dispatch(kq: Any, pipe: Pipe) -> None:
    """S-078."""
    pipe.write(b"x")
    flags = EV_ADD | EV_ONESHOT | EV_DISPATCH | EV_CLEAR
    assert brief(ready(kq, read(pipe.r, flags))) == [f"{pipe.r} READ ONESHOT|CLEAR|DISPATCH d=1"]
    assert gone(kq, read(pipe.r))


def test_dispatch_is_disabled_after_each(kq: Any, pipe: Pipe) -> None:
    """S-076; trace pipe_dispatch."""
    apply(kq, read(pipe.r, EV_ADD | EV_DISPATCH))
    pipe.write(b"123")
    assert brief(ready(kq)) == [f"{pipe.r} READ DISPATCH d=3"]
    pipe.write(b"45")
    idle(kq)
    for _ in range(2):
        assert brief(ready(kq, read(pipe.r, EV_ENABLE))) == [f"{pipe.r} READ DISPATCH d=5"]
        idle(kq)


def test_adding_a_dispatched_knote_does_not_enable_it(kq: Any, pipe: Pipe) -> None:
    """S-057; trace pipe_dispatch_readd_dispatch."""
    pipe.write(b"123")
    assert len(ready(kq, read(pipe.r, EV_ADD | EV_DISPATCH))) == 1
    assert ready(kq, read(pipe.r, EV_ADD | EV_DISPATCH)) == []
    idle(kq)


def test_dispatch_with_clear_does_both(kq: Any, pipe: Pipe) -> None:
    """S-077; trace pipe_dispatch_clear."""
    pipe.write(b"123")
    assert brief(ready(kq, read(pipe.r, EV_ADD | EV_CLEAR | EV_DISPATCH))) == [
        f"{pipe.r} READ CLEAR|DISPATCH d=3"
    ]
    for _ in range(2):
        assert ready(kq) == []
        assert brief(ready(kq, read(pipe.r, EV_ENABLE))) == [f"{pipe.r} READ CLEAR|DISPATCH d=3"]


# ---- DISABLE and ENABLE ------------------------------------------------------------------------


@pytest.mark.parametrize("clear", [0, EV_CLEAR])
def test_disable_hides_and_enable_shows(kq: Any, pipe: Pipe, clear: int) -> None:
    """S-066 ... S-068; traces pipe_disable_enable, pipe_disable_then_data(_clear)."""
    text = f"{pipe.r} READ CLEAR" if clear else f"{pipe.r} READ"
    apply(kq, read(pipe.r, EV_ADD | clear))
    for _ in range(2):
        assert ready(kq, read(pipe.r, EV_DISABLE)) == []
    pipe.write(b"123")
    idle(kq)
    assert brief(ready(kq, read(pipe.r, EV_ENABLE))) == [f"{text} d=3"]
    assert len(ready(kq, read(pipe.r, EV_ENABLE), read(pipe.r, EV_ENABLE))) == 1
    apply(kq, read(pipe.r, EV_DISABLE))
    pipe.drain()
    assert ready(kq, read(pipe.r, EV_ENABLE)) == []
    pipe.write(b"4")
    assert brief(ready(kq)) == [f"{text} d=1"]


def test_born_disabled(kq: Any, pipe: Pipe) -> None:
    """S-052, S-057; trace pipe_readd_enables: a later ADD does not enable it, ADD|ENABLE does."""
    pipe.write(b"123")
    assert ready(kq, read(pipe.r, EV_ADD | EV_DISABLE)) == []
    assert ready(kq, read(pipe.r)) == []
    idle(kq)
    assert brief(ready(kq, read(pipe.r, EV_ADD | EV_ENABLE))) == [f"{pipe.r} READ d=3"]


def test_enable_and_disable_at_once(kq: Any, pipe: Pipe) -> None:
    """S-049; trace pipe_enable_disable_both: refused, and nothing has changed."""
    pipe.write(b"x")
    apply(kq, read(pipe.r, udata=1))
    (entry,) = ready(kq, read(pipe.r, EV_ENABLE | EV_DISABLE, NOTE_LOWAT, 9, 2))
    assert entry.data == errno.EINVAL
    assert brief(ready(kq)) == [f"{pipe.r} READ d=1 u=1"]


def test_a_disabled_knote_on_a_descriptor_that_hung_up(kq: Any, pipe: Pipe) -> None:
    """S-417: HUP is reported whatever the mask, and must not spin."""
    apply(kq, read(pipe.r))
    apply(kq, read(pipe.r, EV_DISABLE))
    pipe.close_w()
    idle(kq)
    assert brief(ready(kq, read(pipe.r, EV_ENABLE))) == [f"{pipe.r} READ EOF d=0"]


# ---- FORCEONESHOT ------------------------------------------------------------------------------


def test_forceoneshot_reports_what_is_not_true(kq: Any, pipe: Pipe) -> None:
    """S-079; trace forceoneshot."""
    apply(kq, read(pipe.r, udata=1))
    assert brief(ready(kq, read(pipe.r, EV_FORCEONESHOT))) == [f"{pipe.r} READ ONESHOT d=0"]
    idle(kq)
    assert gone(kq, read(pipe.r))


def test_forceoneshot_of_nothing(kq: Any, pipe: Pipe) -> None:
    """S-079: ENOENT; with EV_ADD, an ADD."""
    (entry,) = ready(kq, read(pipe.r, EV_FORCEONESHOT))
    assert entry.data == errno.ENOENT
    assert ready(kq, read(pipe.r, EV_ADD | EV_FORCEONESHOT)) == []
    assert not gone(kq, read(pipe.r))


def test_forceoneshot_while_disabled_waits_for_enable(kq: Any) -> None:
    """S-079 with S-066."""
    apply(kq, user(1, EV_ADD | EV_DISABLE))
    assert ready(kq, user(1, EV_FORCEONESHOT)) == []
    idle(kq)
    assert brief(ready(kq, user(1, EV_ENABLE))) == ["1 USER ONESHOT d=0"]
    assert gone(kq, user(1))


# ---- udata -------------------------------------------------------------------------------------


def test_any_change_replaces_udata(kq: Any, pipe: Pipe) -> None:
    """S-058; trace noflags_existing: a bare EV_ENABLE with 0 wipes it."""
    pipe.write(b"x")
    for flags, udata in ((EV_ADD, 1), (0, 2), (EV_ENABLE, 3), (EV_ADD | EV_ENABLE, 4), (0, 0)):
        (event,) = ready(kq, read(pipe.r, flags, udata=udata))
        assert event.udata == udata
    apply(kq, read(pipe.r, EV_DISABLE, udata=5))
    (event,) = ready(kq, read(pipe.r, EV_ENABLE))
    assert event.udata == 0


def test_keepudata(kq: Any, pipe: Pipe) -> None:
    """S-080: any change but a delete, and not with EV_ADD, which leaves all as it was (S-051)."""
    pipe.write(b"x")
    token = object()
    apply(kq, read(pipe.r, udata=token))
    for flags in (EV_KEEPUDATA, EV_ENABLE | EV_KEEPUDATA):
        (event,) = ready(kq, read(pipe.r, flags, udata=9))
        assert event.udata is token
    apply(kq, read(pipe.r, EV_DISABLE | EV_KEEPUDATA))
    (entry,) = ready(kq, read(pipe.r, EV_ADD | EV_KEEPUDATA | EV_ENABLE, udata=9))
    assert entry.data == errno.EINVAL
    assert ready(kq) == []
    (event,) = ready(kq, read(pipe.r, EV_ENABLE | EV_KEEPUDATA))
    assert event.udata is token


@pytest.mark.parametrize("udata", [0, 1, (1 << 64) - 1, 1 << 63, "text", None, (), 1.5])
def test_udata_comes_back_as_it_went_in(kq: Any, pipe: Pipe, udata: Any) -> None:
    """S-060, S-319: 64 bits clean, any other object by identity."""
    pipe.write(b"x")
    (event,) = ready(kq, read(pipe.r, udata=udata))
    assert event.udata == udata
    assert type(event.udata) is type(udata)


def test_udata_lives_as_long_as_its_knote(kq: Any, pipe: Pipe) -> None:
    """The queue holds it, and lets go of it with the knote: replaced, deleted, delivered once."""
    import weakref

    class Token:
        pass

    ends = {
        "replaced": lambda: apply(kq, read(pipe.r, 0)),
        "deleted": lambda: apply(kq, read(pipe.r, EV_DELETE)),
        "forced": lambda: ready(kq, read(pipe.r, EV_FORCEONESHOT | EV_KEEPUDATA)).clear(),
    }
    for name, end in ends.items():
        token = Token()
        alive = weakref.ref(token)
        apply(kq, read(pipe.r, udata=token))
        del token
        assert alive() is not None, name
        end()
        assert alive() is None, name


# ---- several queues ----------------------------------------------------------------------------


def test_one_descriptor_in_two_queues(kq: Any, engine: str, pipe: Pipe) -> None:
    """S-046; trace two_kqueues: each has its own flags, state and events."""
    import knote

    with knote.kqueue(engine=engine) as other:
        apply(kq, read(pipe.r, EV_ADD | EV_CLEAR, udata=1))
        apply(other, read(pipe.r, udata=2))
        pipe.write(b"123")
        assert brief(ready(kq)) == [f"{pipe.r} READ CLEAR d=3 u=1"]
        assert ready(kq) == []
        for _ in range(2):
            assert brief(ready(other)) == [f"{pipe.r} READ d=3 u=2"]
        apply(kq, read(pipe.r, EV_DELETE))
        assert brief(ready(other)) == [f"{pipe.r} READ d=3 u=2"]
