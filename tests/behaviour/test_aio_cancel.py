"""Cancelling requests: each still gives its one event, which says how it ended."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knote import aio
from tests.behaviour.requests import backend, collect, only
from tests.behaviour.words import idle
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import wait_until

__all__ = ["backend"]


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("what", ["read", "recv", "accept", "write"])
def test_while_it_waits(kq: Any, backend: str, socketpair: Pair, what: str, blocking: bool) -> None:
    """S-390: AIO_CANCELED, ECANCELED in the event; the descriptor is as it was."""
    socketpair.a.setblocking(blocking)
    if what == "accept":
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(blocking)
        request = aio.accept(kq, listener)
    elif what == "write":
        listener = socket.socket()
        socketpair.a.setblocking(False)
        with pytest.raises(BlockingIOError):
            while True:
                socketpair.a.send(bytes(65536))
        socketpair.a.setblocking(blocking)
        request = aio.write(kq, socketpair.a, bytes(100))
    else:
        listener = socket.socket()
        start: Callable[..., aio.Request] = getattr(aio, what)
        request = start(kq, socketpair.a, 16)
    idle(kq)
    assert request.cancel() == aio.AIO_CANCELED
    event = only(kq)
    assert (event.ident, event.data, event.fflags) == (request.ident, -errno.ECANCELED, errno.ECANCELED)
    assert request.error() == errno.ECANCELED
    with pytest.raises(OSError, match="Operation canceled"):
        request.result()
    listener.close()
    idle(kq)


def test_when_it_is_over(kq: Any, backend: str, pipe: Pipe) -> None:
    """Nothing to cancel, and the result stands."""
    request = aio.read(kq, pipe.r, 16)
    pipe.write(b"x")
    wait_until(lambda: request.done)
    assert request.cancel() == aio.AIO_ALLDONE
    assert only(kq).data == 1
    assert request.cancel() == aio.AIO_ALLDONE


def test_what_a_device_has(kq: Any, backend: str, tmp_path: Path) -> None:
    """Cancelled or not, each of many ends once, and as cancel() foretold where it could."""
    with open(tmp_path / "data", "w+b", buffering=0) as file:
        file.write(bytes(1 << 20))
        requests = [aio.Request.fsync(file) if i % 8 == 0 else aio.Request.write(file, bytes(4096), i * 4096)
                    for i in range(64)]  # fmt: skip
        aio.submit(kq, requests)
        answers = {request.ident: request.cancel() for request in requests}
        events = collect(kq, 64)
        assert {event.ident for event in events} == set(answers)
        for event in events:
            assert event.data in (0, 4096, -errno.ECANCELED)
            if answers[event.ident] == aio.AIO_CANCELED:
                assert event.data == -errno.ECANCELED
        idle(kq)


def test_a_list(kq: Any, backend: str, pipe: Pipe) -> None:
    made = aio.lio_listio(kq, [aio.Request.read(pipe.r, 1) for _ in range(3)])
    made.cancel()
    event = only(kq)
    assert (event.udata, event.data, event.fflags) == (made, 0, errno.EIO)
    assert [request.error() for request in made.requests] == [errno.ECANCELED] * 3


def test_and_again(kq: Any, backend: str, pipe: Pipe) -> None:
    """A request that was cancelled can be submitted again."""
    request = aio.read(kq, pipe.r, 16)
    request.cancel()
    only(kq)
    aio.submit(kq, [request])
    pipe.write(b"x")
    assert only(kq).data == 1


def test_the_other_end_sees_the_close_then(kq: Any, backend: str) -> None:
    """S-479: a request holds its open file; cancelled, it lets go."""
    ours, theirs = socket.socketpair()
    request = aio.recv(kq, ours, 16)
    ours.close()
    theirs.setblocking(False)
    with pytest.raises(BlockingIOError):
        theirs.recv(1)
    assert request.cancel() == aio.AIO_CANCELED
    only(kq)

    def seen() -> bool:
        try:
            return theirs.recv(1) == b""
        except BlockingIOError:
            return False

    wait_until(seen)
    theirs.close()


def test_the_number_is_reused(kq: Any, backend: str, pipe: Pipe) -> None:
    """A request acts on the file that its descriptor meant when it was submitted."""
    r, w = os.pipe()
    aio.read(kq, r, 16)
    os.dup2(pipe.r, r)
    pipe.write(b"not this")
    idle(kq)
    os.write(w, b"this")
    event = only(kq)
    assert bytes(event.udata.buffer[: event.data]) == b"this"
    os.close(r)
    os.close(w)
