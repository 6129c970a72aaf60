"""knote.aio on sockets: recv, send, accept, connect; the same by io_uring, POSIX AIO and threads."""

from __future__ import annotations

import errno
import socket
from pathlib import Path
from typing import Any

import pytest

from knote import (
    aio,
)
from tests.behaviour.requests import backend, collect, only
from tests.behaviour.words import idle
from tests.support.plumbing import Pair

__all__ = ["backend"]

DATA = bytes(range(256)) * 64


@pytest.mark.parametrize("blocking", [True, False])
def test_recv_and_send(kq: Any, backend: str, socketpair: Pair, blocking: bool) -> None:
    """Sockets by object or number; MSG_PEEK leaves the bytes there."""
    socketpair.a.setblocking(blocking)
    request = aio.recv(kq, socketpair.a, 100, socket.MSG_PEEK)
    idle(kq)
    sent = aio.send(kq, socketpair.b.fileno(), b"hello")
    assert {event.ident: event.data for event in collect(kq, 2)} == {request.ident: 5, sent.ident: 5}
    buffer = bytearray(3)
    aio.recv(kq, socketpair.a, buffer)
    assert (only(kq).data, buffer) == (3, b"hel")


def test_send_to_nobody(kq: Any, backend: str, socketpair: Pair) -> None:
    """EPIPE, and no SIGPIPE."""
    socketpair.b.close()
    aio.send(kq, socketpair.a, b"hello")
    assert only(kq).fflags == errno.EPIPE


@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6, socket.AF_UNIX])
def test_accept_and_connect(kq: Any, backend: str, tmp_path: Path, family: int, blocking: bool) -> None:
    """The new descriptor is the accepting event's data, close-on-exec, and the program's."""
    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.setblocking(blocking)
        client.setblocking(blocking)
        if family == socket.AF_UNIX:
            listener.bind(str(tmp_path / "name"))
        else:
            listener.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        listener.listen()
        accepting = aio.accept(kq, listener)
        idle(kq)
        connecting = aio.connect(kq, client, listener.getsockname())
        results = {event.ident: event.data for event in collect(kq, 2)}
        assert results[connecting.ident] == 0
        with socket.socket(fileno=results[accepting.ident]) as server:
            assert not server.get_inheritable()
            client.setblocking(True)
            client.sendall(b"hi")
            aio.recv(kq, server, 10)
            assert only(kq).data == 2


def test_connect_refused(kq: Any, backend: str) -> None:
    with socket.socket() as bound, socket.socket() as client:
        bound.bind(("127.0.0.1", 0))
        aio.connect(kq, client, bound.getsockname())
        assert only(kq).fflags == errno.ECONNREFUSED


@pytest.mark.parametrize("address", [("localhost", 80), "name", ("127.0.0.1",), ("127.0.0.1", 70000)])
def test_connect_takes_numbers(kq: Any, backend: str, address: Any) -> None:
    with socket.socket() as client, pytest.raises(ValueError, match="cannot connect an AF_INET socket"):
        aio.connect(kq, client, address)


def test_a_unix_listener_that_is_full(kq: Any, backend: str, tmp_path: Path) -> None:
    """A socket with O_NONBLOCK is told EAGAIN, and nothing spins."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "name"))
        listener.listen(0)
        with socket.socket(socket.AF_UNIX) as first, socket.socket(socket.AF_UNIX) as second:
            first.connect(listener.getsockname())
            second.setblocking(False)
            aio.connect(kq, second, listener.getsockname())
            assert only(kq).fflags == errno.EAGAIN
