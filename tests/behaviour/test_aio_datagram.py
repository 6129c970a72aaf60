"""knote.aio: recvfrom and sendto, whose requests have an address; by io_uring, POSIX AIO and threads."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from knote import aio
from tests.behaviour.requests import backend, collect, only
from tests.behaviour.words import idle

__all__ = ["backend"]


@pytest.fixture(params=["AF_INET", "AF_INET6"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two bound datagram sockets that do not know each other, one of them not to be blocked on."""
    family = getattr(socket, request.param)
    one, other = (socket.socket(family, socket.SOCK_DGRAM) for _ in range(2))
    with one, other:
        for sock in (one, other):
            sock.bind(("127.0.0.1" if family == socket.AF_INET else "::1", 0))
        other.setblocking(False)
        yield one, other


def test_there_and_back(kq: Any, backend: str, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    waiting = aio.recvfrom(kq, other, 100)
    idle(kq)
    assert waiting.address is None
    sent = aio.sendto(kq, one, b"question", other.getsockname())
    assert {event.ident: event.data for event in collect(kq, 2)} == {waiting.ident: 8, sent.ident: 8}
    assert waiting.buffer[: waiting.result()] == b"question"
    assert waiting.address == one.getsockname()
    assert sent.address == other.getsockname()

    answer = aio.sendto(kq, other, b"answer", waiting.address)
    assert only(kq).ident == answer.ident
    assert one.recvfrom(100) == (b"answer", other.getsockname())


def test_again_with_the_same_request(
    kq: Any, backend: str, pair: tuple[socket.socket, socket.socket]
) -> None:
    one, other = pair
    request = aio.Request.recvfrom(other, 10)
    for sender in (one, other):
        aio.submit(kq, [request])
        sender.sendto(b"longer than that", other.getsockname())
        assert only(kq).data == 10
        assert request.buffer == b"longer tha" and request.address == sender.getsockname()


def test_connected_and_nobody_there(kq: Any, backend: str, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    one.connect(other.getsockname())
    aio.sendto(kq, one, b"", None)
    assert only(kq).data == 0
    assert other.recvfrom(10) == (b"", one.getsockname())
    other.close()
    aio.sendto(kq, one, b"lost", None)
    assert only(kq).data == 4
    refused = aio.recvfrom(kq, one, 10)
    assert only(kq).udata is refused
    with pytest.raises(ConnectionRefusedError, match="recvfrom"):
        refused.result()
    assert refused.address is None


def test_names_of_unix_sockets(kq: Any, backend: str, tmp_path: Path) -> None:
    named, nameless, abstract = (socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) for _ in range(3))
    with named, nameless, abstract:
        named.bind(str(tmp_path / "named"))
        abstract.bind(b"\0knote-%d" % abstract.fileno() + tmp_path.name.encode())
        for sender, address in ((nameless, None), (abstract, abstract.getsockname())):
            aio.sendto(kq, sender, b"x", str(tmp_path / "named"))
            assert only(kq).data == 1
            received = aio.recvfrom(kq, named, 5)
            assert only(kq).data == 1
            assert received.address == address


def test_cancelled(kq: Any, backend: str, pair: tuple[socket.socket, socket.socket]) -> None:
    waiting = aio.recvfrom(kq, pair[1], 10)
    assert waiting.cancel() in (aio.AIO_CANCELED, aio.AIO_NOTCANCELED)
    assert only(kq).udata is waiting
    with pytest.raises(OSError, match="canceled"):
        waiting.result()


def test_an_address_that_is_none(kq: Any, backend: str, pair: tuple[socket.socket, socket.socket]) -> None:
    with pytest.raises(ValueError, match="the host a number"):
        aio.sendto(kq, pair[0], b"x", ("somewhere.example", 1))
