"""Long change lists: done as if one by one, however many are told to the kernel together."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
    EV_RECEIPT,
    kevent,
)
from tests.behaviour.words import ROOM, apply, idle, read, ready, user, write
from tests.support.events import brief, idents, keys
from tests.support.plumbing import Pipe, unix_pair

MANY = 12
BAD = 1_000_000


@pytest.fixture
def pipes() -> Iterator[list[Pipe]]:
    """Twelve, each with a byte in it."""
    with ExitStack() as stack:
        made = [Pipe() for _ in range(MANY)]
        for one in made:
            stack.callback(one.close)
            one.write(b"x")
        yield made


def known(kq: Any, pipes: list[Pipe]) -> list[int]:
    """Which of the pipes' read ends have a knote: asked by a change that changes nothing."""
    found = []
    for place, pipe in enumerate(pipes):
        (entry,) = kq.control([read(pipe.r, EV_ENABLE | EV_RECEIPT)], 1, 0)
        if not entry.data:
            found.append(place)
    return found


# ---- cancelled ---------------------------------------------------------------------------------


def test_added_and_deleted_in_one_list(kq: Any, pipes: list[Pipe]) -> None:
    """S-020; trace add_then_delete_list."""
    changes = [read(pipe.r) for pipe in pipes] + [read(pipe.r, EV_DELETE) for pipe in pipes]
    for room in (ROOM, 0):
        assert kq.control(changes, room, 0) == []
        assert known(kq, pipes) == []
        idle(kq)


def test_deleted_and_added_in_one_list(kq: Any, pipes: list[Pipe]) -> None:
    """S-069: a fresh knote, with the flags and udata of the new ADD (S-056)."""
    apply(kq, *(read(pipe.r, EV_ADD | EV_CLEAR, udata=1) for pipe in pipes))
    assert len(ready(kq)) == MANY
    changes = []
    for pipe in pipes:
        changes += [read(pipe.r, EV_DELETE), read(pipe.r, udata=2)]
    for _ in range(2):
        events = kq.control(changes, ROOM, 0)
        assert sorted(brief(events)) == sorted(f"{pipe.r} READ d=1 u=2" for pipe in pipes)


def test_back_and_forth(kq: Any, pipes: list[Pipe]) -> None:
    """Only the last word of each counts."""
    changes = []
    for turn in range(6):
        changes += [read(pipe.r, udata=turn) for pipe in pipes]
        changes += [read(pipe.r, EV_DELETE) for pipe in pipes if turn < 5 or pipe.r % 2]
    apply(kq, *changes)
    left = [place for place, pipe in enumerate(pipes) if not pipe.r % 2]
    assert known(kq, pipes) == left
    assert {(event.ident, event.udata) for event in ready(kq)} == {
        (pipes[place].r, 0) for place in left
    }


def test_a_bad_number_added_and_deleted(kq: Any, pipes: list[Pipe]) -> None:
    """S-047: what is cancelled is checked all the same."""
    events = kq.control([read(BAD), read(BAD, EV_DELETE), read(pipes[0].r)], ROOM, 0)
    assert brief(events) == [f"{BAD} READ ERROR d=EBADF"] * 2
    with pytest.raises(OSError, match=str(BAD)):
        apply(kq, read(pipes[1].r), read(BAD), read(BAD, EV_DELETE), read(pipes[2].r))
    assert known(kq, pipes) == [0, 1]


# ---- refused in the middle ---------------------------------------------------------------------


@pytest.mark.parametrize("place", range(MANY + 1))
@pytest.mark.parametrize(
    ("bad", "number"),
    [
        (read(BAD), errno.EBADF),
        (write(BAD, EV_ADD | EV_CLEAR), errno.EBADF),
        (read(BAD, EV_DELETE), errno.EBADF),
        (user(9, EV_DELETE), errno.ENOENT),
        (kevent(1, 99), errno.EINVAL),
    ],
    ids=str,
)
def test_one_that_is_refused(
    kq: Any, pipes: list[Pipe], place: int, bad: kevent, number: int
) -> None:
    """S-031, S-032: without room exactly those before it are applied; with room all the others."""
    changes = [read(pipe.r) for pipe in pipes]
    changes.insert(place, bad)
    with pytest.raises(OSError) as raised:
        apply(kq, *changes)
    assert raised.value.errno == number
    assert idents(ready(kq)) == [pipe.r for pipe in pipes[:place]]
    (entry,) = kq.control(changes, ROOM, 0)
    assert (entry.ident, entry.flags, entry.data) == (bad.ident, EV_ERROR, number)
    assert sorted(idents(ready(kq))) == sorted(pipe.r for pipe in pipes)


def test_several_that_are_refused(kq: Any, pipes: list[Pipe]) -> None:
    """S-031, S-032: as many entries as there is room, then the exception, in their places."""
    bads = [BAD, BAD + 1, BAD + 2]
    for room, applied in ((0, 3), (1, 6), (2, 9), (3, 12)):
        changes = [read(pipe.r) for pipe in pipes]
        for place, bad in zip((9, 6, 3), reversed(bads), strict=True):
            changes.insert(place, read(bad))
        if room < 3:
            with pytest.raises(OSError, match=str(bads[room])):
                kq.control(changes, room, 0)
        else:
            assert idents(kq.control(changes, room, 0)) == bads
        assert known(kq, pipes) == list(range(applied))
        apply(kq, *(read(pipe.r, EV_DELETE) for pipe in pipes[:applied]))
    idle(kq)


@pytest.mark.parametrize("place", range(0, MANY, 3))
@pytest.mark.parametrize("then", ["closed", "reused", "reused, dup alive"])
@pytest.mark.parametrize("room", [0, ROOM])
def test_a_number_that_went_stale(
    kq: Any, pipes: list[Pipe], place: int, then: str, room: int
) -> None:
    """S-084 ... S-087 in the middle of a list: a DELETE of a knote that went with its file is
    EBADF or ENOENT, and the others are done as ever."""
    apply(kq, *(read(pipe.r) for pipe in pipes))
    stale = pipes[place]
    keeper = os.dup(stale.r)
    number = stale.r
    other = Pipe()
    if then == "closed":
        stale.close_r()
    else:
        os.dup2(other.r, stale.r)
    if then != "reused, dup alive":
        os.close(keeper)
        keeper = -1
    try:
        wrong = errno.EBADF if then == "closed" else errno.ENOENT
        changes = [read(number if pipe is stale else pipe.r, EV_DELETE) for pipe in pipes]
        if room:
            (entry,) = kq.control(changes, room, 0)
            assert (entry.ident, entry.data) == (number, wrong)
            left = []
        else:
            with pytest.raises(OSError, match=f"fd={number}") as raised:
                kq.control(changes, room, 0)
            assert raised.value.errno == wrong
            left = [pipe.r for pipe in pipes[place + 1 :]]
        assert sorted(idents(ready(kq))) == left
        apply(kq, *(read(fd, EV_DELETE) for fd in left))
        idle(kq)
    finally:
        other.close()
        if keeper >= 0:
            os.close(keeper)


@pytest.mark.parametrize("room", [0, ROOM])
def test_a_number_reused_and_added_in_the_middle(kq: Any, pipes: list[Pipe], room: int) -> None:
    """S-087: a new knote, though the list was built for the old one."""
    apply(kq, *(read(pipe.r, udata="old") for pipe in pipes))
    other = Pipe()
    other.write(b"12345")
    os.dup2(other.r, pipes[5].r)
    kept = [read(pipe.r, udata="new") for pipe in pipes]
    events = kq.control(kept, room, 0) or ready(kq)
    assert {event.udata for event in events} == {"new"}
    assert {event.ident: event.data for event in events} == {
        pipe.r: 5 if place == 5 else 1 for place, pipe in enumerate(pipes)
    }
    other.close()


# ---- long --------------------------------------------------------------------------------------


def test_a_thousand_each_way(kq: Any) -> None:
    """S-019: batches of the kernel are not to be seen."""
    with ExitStack() as stack:
        fds = []
        for _ in range(40):
            pair = unix_pair()
            stack.callback(pair.close)
            pair.b.send(b"x")
            fds += [pair.fd_a]
        adds = [make(fd) for fd in fds for make in (read, write)]
        deletes = [make(fd, EV_DELETE) for fd in fds for make in (read, write)]
        apply(kq, *(adds + deletes) * 12)
        idle(kq)
        apply(kq, *adds, *(user(ident) for ident in range(1000)))
        assert sorted(keys(kq.control(None, 2000, 0))) == sorted(
            (change.ident, change.filter) for change in adds
        )
        receipts = [user(ident, EV_DELETE | EV_RECEIPT) for ident in range(1000)]
        entries = kq.control(receipts, 1000, 0)
        assert idents(entries) == list(range(1000))
        assert {(entry.flags, entry.data) for entry in entries} == {(EV_ERROR, 0)}


def test_files_and_filter_0_among_what_the_engine_refuses(kq: Any, pipe: Pipe, tmp_path: Any) -> None:
    """The engine hears of neither, and refuses a device, which is always ready then; each change has its place."""
    with open(tmp_path / "f", "w+b", buffering=0) as file, open("/dev/null", "rb") as null:
        file.write(b"x")
        file.seek(0)
        changes = [read(pipe.r), kevent(1, 0), read(file), read(null), write(pipe.w)]
        assert set(idents(ready(kq, *changes))) == {file.fileno(), null.fileno(), pipe.w}
        pipe.write(b"x")
        assert len(ready(kq)) == 4


def test_receipts_between(kq: Any, pipes: list[Pipe]) -> None:
    """S-034: each tells of its own place in the list."""
    changes = []
    for place, pipe in enumerate(pipes):
        changes.append(read(pipe.r, EV_ADD | (EV_RECEIPT if place % 3 == 0 else 0), udata=place))
    entries = kq.control(changes, ROOM, 0)
    assert [entry.udata for entry in entries] == [0, 3, 6, 9]
    assert known(kq, pipes) == list(range(MANY))


# ---- against one by one ------------------------------------------------------------------------

_FLAGS = st.sampled_from(
    [
        EV_ADD,
        EV_ADD,
        EV_DELETE,
        EV_ADD | EV_CLEAR,
        EV_ADD | EV_DISPATCH,
        EV_ADD | EV_ONESHOT,
        EV_ADD | EV_DISABLE,
        EV_ENABLE,
        EV_DISABLE,
        EV_ADD | EV_RECEIPT,
        EV_DELETE | EV_RECEIPT,
        EV_ENABLE | EV_DISABLE,
        0,
    ]
)
_CHANGE = st.tuples(st.sampled_from([0, 1, 2, 3, 4, 5, 6]), st.booleans(), _FLAGS)


class Twins:
    """Two queues over the same descriptors: one gets lists, the other each change by itself."""

    def __init__(self, stack: ExitStack) -> None:
        self.lists = stack.enter_context(knote.kqueue())
        self.singles = stack.enter_context(knote.kqueue())
        self.fds = []
        for place in range(4):
            pair = unix_pair()
            stack.callback(pair.close)
            if place % 2:
                pair.b.send(b"x" * place)
            self.fds.append(pair.fd_a)
        null = os.open("/dev/null", os.O_RDONLY)
        stack.callback(os.close, null)
        self.fds += [null, BAD, BAD + 1]

    def change(self, where: int, writing: bool, flags: int, udata: int) -> kevent:
        return (write if writing else read)(self.fds[where], flags, udata=udata)

    def one_by_one(self, changes: list[kevent], room: int) -> tuple[list[kevent], int]:
        """The entries, and the errno that ends the list; a receipt without room ends it with 0."""
        entries: list[kevent] = []
        for change in changes:
            # A room of its own for each, and nothing is collected.
            kind = kevent(
                change.ident, change.filter, change.flags | EV_RECEIPT, udata=change.udata
            )
            if change.flags & EV_RECEIPT:
                (entry,) = self.singles.control([kind], 1, 0)
            else:
                try:
                    self.singles.control([change], 0, 0)
                    continue
                except OSError as error:
                    number = error.errno or 0
                    entry = kevent(change.ident, change.filter, EV_ERROR, 0, number, change.udata)
            if len(entries) == room:
                return entries, entry.data or -1
            entries.append(entry)
        return entries, 0


@settings(max_examples=150, deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(_CHANGE, max_size=14), max_size=4), st.sampled_from([0, 1, 3, 64]))
def test_a_list_is_its_changes_one_by_one(
    lists: list[list[tuple[int, bool, int]]], room: int
) -> None:
    """S-019, S-020, S-031 ... S-035: entries, exceptions and what is registered afterwards."""
    with ExitStack() as stack:
        twins = Twins(stack)
        udata = 0
        for steps in lists:
            changes = []
            for where, writing, flags in steps:
                udata += 1
                changes.append(twins.change(where, writing, flags, udata))
            entries, number = twins.one_by_one(changes, room)
            try:
                # A room of 0 collects nothing; with more, what is collected is not compared here.
                got = twins.lists.control(changes, room, 0)
                raised = 0
            except OSError as error:
                got, raised = [], error.errno or 0
            if number > 0:
                assert raised == number
            elif number < 0:
                assert (got, raised) == ([], 0)
            elif entries:
                assert (got, raised) == (entries, 0)
            else:
                assert raised == 0
                assert not [event for event in got if event.flags & EV_ERROR]
                # The twin collects the same, which ONESHOT, CLEAR and DISPATCH remember.
                if room:
                    twin = twins.singles.control(None, room, 0)
                    if room == 64:
                        assert sorted(got, key=key) == sorted(twin, key=key)
                    elif sorted(map(key, got)) != sorted(map(key, twin)):
                        return  # which of them found room is a matter of order
        both = [sorted(ready(queue), key=key) for queue in (twins.lists, twins.singles)]
        assert both[0] == both[1]


def key(event: kevent) -> tuple[int, int]:
    return (event.ident, event.filter)
