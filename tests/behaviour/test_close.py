"""Numbers that are closed, reused, duplicated, sent away, inherited: knotes go by number."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import subprocess
import sys
import tempfile
import threading
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
    EV_ERROR,
    NOTE_ABSTIME,
    NOTE_LOWAT,
    NOTE_NODATA,
    NOTE_TRIGGER,
)
from tests.behaviour.words import ROOM, apply, idle, read, ready, timer, trigger, user, write
from tests.support.events import brief, idents
from tests.support.plumbing import Pair, Pipe, tcp_pair, unix_pair

# ---- who keeps the open file alive -------------------------------------------------------------


@contextmanager
def nothing(fd: int) -> Iterator[None]:
    yield


@contextmanager
def a_dup(fd: int) -> Iterator[None]:
    other = os.dup(fd)
    yield
    os.close(other)


@contextmanager
def a_message(fd: int) -> Iterator[None]:
    """In flight: sent by SCM_RIGHTS and not received."""
    with unix_pair() as pair:
        socket.send_fds(pair.a, [b"x"], [fd])
        yield


@contextmanager
def a_child(fd: int) -> Iterator[None]:
    """A forked process."""
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        os.close(w)
        os.read(r, 1)
        os._exit(0)
    os.close(r)
    yield
    os.close(w)
    os.waitpid(pid, 0)


KEEPERS = pytest.mark.parametrize("kept", [nothing, a_dup, a_message, a_child])
MODES = pytest.mark.parametrize(
    "flags", [0, EV_CLEAR, EV_DISPATCH, EV_DISABLE], ids=["level", "clear", "dispatch", "disabled"]
)


def refused(kq: Any, change: Any, number: int) -> None:
    """As an entry and as an exception (spec section 8 rule 2)."""
    (entry,) = ready(kq, change)
    assert (entry.flags, entry.data) == (EV_ERROR, number)
    with pytest.raises(OSError) as raised:
        apply(kq, change)
    assert raised.value.errno == number


# ---- closed ------------------------------------------------------------------------------------


@KEEPERS
@MODES
@pytest.mark.parametrize("before", [True, False], ids=["seen", "unseen"])
def test_a_closed_read_end(kq: Any, pipe: Pipe, kept: Any, flags: int, before: bool) -> None:
    """S-084 ... S-086, S-398; trace close_removes: per number, whatever keeps the file."""
    fd = pipe.r
    with kept(fd):
        pipe.write(b"x")
        apply(kq, read(fd, EV_ADD | flags))
        if before:
            ready(kq)
        pipe.close_r()
        with contextlib.suppress(BrokenPipeError):
            pipe.write(b"y")
        idle(kq)
        pipe.close_w()
        idle(kq)
        refused(kq, read(fd, EV_DELETE), errno.EBADF)
        refused(kq, read(fd, EV_ENABLE), errno.EBADF)
        idle(kq)


@KEEPERS
@MODES
@pytest.mark.parametrize("make", [unix_pair, tcp_pair])
def test_a_closed_socket(kq: Any, make: Any, kept: Any, flags: int) -> None:
    """The same for both filters of a socket, by level and in lanes of their own."""
    with make() as pair:
        fd = pair.fd_a
        with kept(fd):
            pair.b.send(b"x")
            apply(kq, read(fd, EV_ADD | flags), write(fd, EV_ADD | flags))
            pair.a.close()
            with contextlib.suppress(OSError):
                pair.b.send(b"y")
            idle(kq)
            refused(kq, write(fd, EV_DELETE), errno.EBADF)
            refused(kq, read(fd, EV_DELETE), errno.EBADF)
            idle(kq)


@KEEPERS
def test_closed_and_nothing_fetched(kq: Any, pipe: Pipe, kept: Any) -> None:
    """NOTE_NODATA: nothing names the number at a delivery, so at most one stale event (docs)."""
    with kept(pipe.r):
        pipe.write(b"x")
        apply(kq, read(pipe.r, fflags=NOTE_NODATA))
        assert len(ready(kq)) == 1
        pipe.close_r()
        assert len(ready(kq)) <= 1
        idle(kq)


def test_the_other_descriptor_goes_on(kq: Any, pipe: Pipe) -> None:
    """S-044, S-085; traces dup_both, dup_monitor_dup: two numbers are two idents."""
    other = os.dup(pipe.r)
    pipe.write(b"12")
    assert brief(ready(kq, read(pipe.r, udata=1), read(other, udata=2))) == [
        f"{pipe.r} READ d=2 u=1",
        f"{other} READ d=2 u=2",
    ]
    pipe.close_r()
    for _ in range(3):
        assert brief(ready(kq)) == [f"{other} READ d=2 u=2"]
    os.close(other)
    idle(kq)


def test_a_child_that_closes_is_nothing_to_us(kq: Any, pipe: Pipe) -> None:
    """S-090."""
    apply(kq, read(pipe.r), write(pipe.w, EV_ADD | EV_CLEAR))
    pid = os.fork()
    if not pid:
        os.close(pipe.r)
        os.close(pipe.w)
        os._exit(0)
    os.waitpid(pid, 0)
    pipe.write(b"x")
    assert sorted(idents(ready(kq))) == sorted([pipe.r, pipe.w])


def test_everything_else_goes_on(kq: Any, engine: str) -> None:
    """A stale interest makes the engine forget and learn anew: no knote of another number may
    lose its state, its edge or its place in that."""
    with ExitStack() as stack:
        gone, level, edge = Pipe(), Pipe(), Pipe()
        pair = unix_pair()
        for one in (gone, level, edge, pair):
            stack.callback(one.close)
        both = [read(pair.a, EV_ADD | EV_CLEAR), write(pair.a, EV_ADD | EV_CLEAR)]
        apply(kq, read(gone.r), read(level.r), read(edge.r, EV_ADD | EV_CLEAR), *both)
        apply(kq, user(1, EV_ADD | EV_CLEAR), timer(2, EV_ADD, data=3_600_000))
        for one in (level, edge, gone):
            one.write(b"x")
        assert len(ready(kq)) == 4
        keeper = os.dup(gone.r)
        stack.callback(os.close, keeper)
        gone.close_r()
        for _ in range(5):
            for event in ready(kq):
                assert event.ident in (level.r, edge.r, pair.fd_a)
        level.drain()
        idle(kq)
        level.write(b"12")
        edge.write(b"3")
        pair.b.send(b"4")
        apply(kq, trigger(1))
        got = sorted(brief(kq.control(None, ROOM, 0)))
        assert got == sorted(
            [
                f"{level.r} READ d=2",
                f"{edge.r} READ CLEAR d=2",
                f"{pair.fd_a} READ CLEAR d=1",
                "1 USER CLEAR d=0",
            ]
        )
        assert ready(kq, timer(2, EV_DELETE), read(level.r, EV_DELETE)) == []
        idle(kq)


@KEEPERS
def test_closed_while_somebody_waits(kq: Any, pipe: Pipe, kept: Any) -> None:
    """S-285: the waiter is not woken, and what the file still reports does not spin."""
    got: list[Any] = []
    with kept(pipe.r):
        apply(kq, read(pipe.r), user(1, EV_ADD | EV_CLEAR))
        waiter = threading.Thread(target=lambda: got.extend(kq.control(None, ROOM, None)))
        waiter.start()
        fd = pipe.r
        pipe.close_r()
        with contextlib.suppress(BrokenPipeError):
            pipe.write(b"x")
        apply(kq, trigger(1))
        waiter.join()
        assert brief(got) == ["1 USER CLEAR d=0"]
        idle(kq)
        refused(kq, read(fd, EV_DELETE), errno.EBADF)


def test_closed_with_the_knote_on_the_ready_list(kq: Any) -> None:
    """S-084 where software keeps the state; of a device nothing is fetched, so one stale event."""
    for path, stale in ((__file__, 0), ("/dev/null", 1)):
        fd = os.open(path, os.O_RDONLY)
        assert len(ready(kq, read(fd), write(fd))) == 2
        os.close(fd)
        assert len(ready(kq)) <= stale
        idle(kq)
        refused(kq, read(fd, EV_DELETE), errno.EBADF)


# ---- reused ------------------------------------------------------------------------------------


def full_pipe(stack: ExitStack) -> int:
    """The read end of a pipe with 5 bytes in it."""
    r, w = os.pipe()
    stack.callback(os.close, w)
    os.write(w, b"12345")
    return r


def full_socket(stack: ExitStack) -> int:
    pair = unix_pair()
    stack.callback(pair.b.close)
    pair.b.send(b"12345")
    return pair.a.detach()


def full_file(stack: ExitStack) -> int:
    with tempfile.TemporaryFile(buffering=0) as file:
        file.write(b"12345")
        file.seek(0)
        return os.dup(file.fileno())


NEXT = pytest.mark.parametrize("then", [full_pipe, full_socket, full_file])
FIRST = pytest.mark.parametrize("first", [full_pipe, full_socket, full_file])


@FIRST
@NEXT
@pytest.mark.parametrize("kept", [nothing, a_dup, a_message])
@pytest.mark.parametrize("over", [True, False], ids=["dup2", "close"])
def test_a_number_that_is_another_file_by_now(
    kq: Any, first: Any, then: Any, kept: Any, over: bool
) -> None:
    """S-086 ... S-088, S-398 ... S-401; trace dup2_over: the old knote is gone, with its udata."""
    with ExitStack() as stack:
        fd = first(stack)
        stack.enter_context(kept(fd))
        assert brief(ready(kq, read(fd, udata="old"))) == [f"{fd} READ d=5 u=old"]
        new = then(stack)
        if over:
            os.dup2(new, fd)
        else:
            os.close(fd)
            os.dup2(new, fd)
        stack.callback(os.close, fd)
        os.close(new)
        idle(kq)
        refused(kq, read(fd, EV_DELETE), errno.ENOENT)
        for _ in range(3):
            assert brief(ready(kq, read(fd, udata="new"))) == [f"{fd} READ d=5 u=new"]
        assert ready(kq, read(fd, EV_DELETE)) == []
        idle(kq)


@pytest.mark.parametrize("kept", [nothing, a_dup])
@MODES
def test_added_again_under_the_same_number(kq: Any, kept: Any, flags: int) -> None:
    """S-087: the first that knote hears of it is the EV_ADD of the new file: a new knote, with the
    flags of this ADD and not of the old one."""
    with ExitStack() as stack:
        fd = full_pipe(stack)
        stack.enter_context(kept(fd))
        apply(kq, read(fd, EV_ADD | flags, udata="old"))
        new = full_socket(stack)
        os.dup2(new, fd)
        os.close(new)
        stack.callback(os.close, fd)
        for _ in range(3):
            assert brief(ready(kq, read(fd, udata="new"))) == [f"{fd} READ d=5 u=new"]
        assert ready(kq, read(fd, EV_DELETE)) == []
        idle(kq)


def test_write_knote_of_a_number_reused(kq: Any) -> None:
    """S-087 for WRITE, with the old file alive."""
    with ExitStack() as stack:
        old, new = unix_pair(), unix_pair()
        for one in (old, new):
            stack.callback(one.close)
        fd = old.fd_a
        stack.enter_context(a_dup(fd))
        assert len(ready(kq, write(fd, udata="old"))) == 1
        os.dup2(new.fd_a, fd)
        idle(kq)
        refused(kq, write(fd, EV_DELETE), errno.ENOENT)
        (event,) = ready(kq, write(fd, udata="new"))
        assert event.udata == "new"


def test_the_number_of_a_queue_reused(engine: str) -> None:
    """Trace pipe_close_kq_pending: nothing of the old queue in the new one."""
    pipe = Pipe()
    with contextlib.closing(pipe):
        pipe.write(b"x")
        old = knote.kqueue(engine=engine)
        apply(old, read(pipe.r), user(1, fflags=NOTE_TRIGGER))
        number = old.fileno()
        old.close()
        with knote.kqueue(engine=engine) as new:
            assert new.fileno() == number
            assert ready(new) == []
            with pytest.raises(FileNotFoundError):
                apply(new, read(pipe.r, EV_DELETE))


@pytest.mark.parametrize("rounds", [200])
def test_open_add_close_again_and_again(kq: Any, rounds: int) -> None:
    """S-087: as servers do all day, with a dup now and then that outlives its number."""
    with ExitStack() as stack:
        for turn in range(rounds):
            pipe = Pipe()
            if turn % 7 == 0:
                stack.callback(os.close, os.dup(pipe.r))
            apply(kq, read(pipe.r, udata=turn))
            pipe.write(b"x")
            if turn % 3:
                assert brief(ready(kq)) == [f"{pipe.r} READ d=1" + (f" u={turn}" if turn else "")]
            pipe.close()
        idle(kq)


def test_peers_that_close_remove_nothing(kq: Any, socketpair: Pair) -> None:
    """S-092."""
    apply(kq, read(socketpair.a, EV_ADD | EV_CLEAR))
    socketpair.b.close()
    assert len(ready(kq)) == 1
    assert len(ready(kq, read(socketpair.a, EV_ENABLE))) == 1
    assert ready(kq, read(socketpair.a, EV_DELETE)) == []


@pytest.mark.parametrize("kept", [a_dup, a_child])
def test_denied_under_a_number_that_is_another_file(
    kq: Any, socketpair: Pair, pipe: Pipe, kept: Any
) -> None:
    """S-084, S-397: below the low-water mark of a file that lives on in a dup, the knote can be watched
    neither by level nor by edge, since the number names another file: it goes.  It took all of a core."""
    apply(kq, read(socketpair.a, fflags=NOTE_LOWAT, data=100))
    with kept(socketpair.a.fileno()):
        os.dup2(pipe.r, socketpair.a.fileno())
        socketpair.b.send(b"five.")
        assert kq.control(None, ROOM, 0) == []
        assert kq.knotes() == []


# ---- the queue itself --------------------------------------------------------------------------


def test_close_is_idempotent(engine: str) -> None:
    """S-290 ... S-292, S-333."""
    queue = knote.kqueue(engine=engine)
    assert not queue.closed
    for _ in range(3):
        queue.close()
        assert queue.closed
        for call in (queue.fileno, queue.__enter__, lambda: queue.control(None, 0)):
            with pytest.raises(ValueError, match="closed kqueue"):
                call()
    assert "closed" in repr(queue)
    with pytest.raises(AttributeError):
        queue.closed = False  # type: ignore[misc]


def test_close_with_everything_pending(engine: str, pipe: Pipe) -> None:
    """S-009: neither a leak (the fixture looks) nor a crash."""
    queue = knote.kqueue(engine=engine)
    pipe.write(b"x")
    apply(queue, read(pipe.r), write(pipe.w, EV_ADD | EV_CLEAR), timer(1, data=0))
    apply(queue, user(1, fflags=NOTE_TRIGGER, udata=queue), timer(2, EV_ADD, NOTE_ABSTIME, 1))
    queue.close()


def test_a_queue_in_its_own_udata_is_collected(engine: str) -> None:
    """S-293: garbage is garbage."""
    import gc

    queue = knote.kqueue(engine=engine)
    number = queue.fileno()
    apply(queue, user(1, udata=queue))
    del queue
    gc.collect()
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)


# ---- at the end of the process ------------------------------------------------------------------------------


@pytest.mark.parametrize("keeper", ["sys.kept = kq", "kept = kq", "sys.kept = [kq]; os.kept = sys.kept"])
def test_a_queue_that_outlives_the_modules_says_nothing(keeper: str) -> None:
    """What a hub or a reactor in a module does: its queue goes when there are no modules to close it with."""
    code = f"""
import os, sys, knote
r, w = os.pipe()
kq = knote.kqueue()
kq.control([knote.kevent(r, knote.EVFILT_READ, knote.EV_ADD), knote.kevent(1, knote.EVFILT_USER, knote.EV_ADD)], 0)
{keeper}
del kq
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
