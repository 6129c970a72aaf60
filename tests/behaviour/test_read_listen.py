"""EVFILT_READ on listening sockets: the exact number of connections that can be accepted."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from knote import EV_ADD, EV_CLEAR, EV_DISPATCH, EV_ENABLE, EV_ONESHOT
from tests.behaviour.words import ROOM, apply, idle, read, ready, write
from tests.support.events import brief
from tests.support.plumbing import LOCALHOST
from tests.support.waiting import SOON


class Listener:
    """A listening socket and the clients that wait at it."""

    def __init__(self, stack: ExitStack, address: Any, family: int) -> None:
        self._stack, self._family = stack, family
        self.sock = stack.enter_context(socket.socket(family))
        self.sock.bind(address)
        self.fd = self.sock.fileno()
        self.clients: list[socket.socket] = []

    def call(self) -> None:
        """One more connection, established when this returns."""
        sock = self._stack.enter_context(socket.socket(self._family))
        sock.settimeout(SOON)
        sock.connect(self.sock.getsockname())
        self.clients.append(sock)

    def answer(self) -> None:
        """Accept one."""
        self.sock.settimeout(SOON)
        self._stack.enter_context(self.sock.accept()[0])


@pytest.fixture(params=["tcp", "tcp6", "unix"])
def bound(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Listener]:
    """Bound, not yet listening."""
    family, address = {
        "tcp": (socket.AF_INET, (LOCALHOST, 0)),
        "tcp6": (socket.AF_INET6, ("::1", 0)),
        "unix": (socket.AF_UNIX, str(tmp_path / "s")),
    }[request.param]
    with ExitStack() as stack:
        yield Listener(stack, address, family)


@pytest.fixture
def listening(bound: Listener) -> Listener:
    bound.sock.listen(16)
    return bound


def test_data_is_the_number_that_waits(kq: Any, listening: Listener) -> None:
    """S-094, S-095, S-331, S-411, S-412: accepted by that count, it never blocks."""
    assert ready(kq, read(listening.fd)) == []
    for count in (1, 2, 3):
        listening.call()
        assert brief(kq.control(None, ROOM, SOON)) == [f"{listening.fd} READ d={count}"]
    for count in (2, 1):
        listening.answer()
        assert brief(ready(kq)) == [f"{listening.fd} READ d={count}"]
    listening.answer()
    idle(kq)


def test_edges(kq: Any, listening: Listener) -> None:
    """S-099: each connection is one, data is all that wait."""
    apply(kq, read(listening.fd, EV_ADD | EV_CLEAR))
    for count in (1, 2, 3):
        listening.call()
        assert brief(kq.control(None, ROOM, SOON)) == [f"{listening.fd} READ CLEAR d={count}"]
        assert ready(kq) == []
    listening.answer()
    idle(kq)


def test_dispatch(kq: Any, listening: Listener) -> None:
    """Trace tcp_dispatch_accept."""
    apply(kq, read(listening.fd, EV_ADD | EV_DISPATCH))
    listening.call()
    assert brief(kq.control(None, ROOM, SOON)) == [f"{listening.fd} READ DISPATCH d=1"]
    listening.call()
    idle(kq)
    assert brief(ready(kq, read(listening.fd, EV_ENABLE))) == [f"{listening.fd} READ DISPATCH d=2"]


def test_registered_before_listen(kq: Any, bound: Listener) -> None:
    """S-098: no need to register it again."""
    for flags in (EV_ADD, EV_ADD | EV_CLEAR, EV_ADD | EV_ONESHOT):
        assert ready(kq, read(bound.fd, flags)) == []
    idle(kq)
    bound.sock.listen(4)
    idle(kq)
    bound.call()
    assert brief(kq.control(None, ROOM, SOON)) == [f"{bound.fd} READ d=1"]


def test_one_that_hung_up_still_counts(kq: Any, listening: Listener) -> None:
    """Trace tcp_listen_client_gone."""
    apply(kq, read(listening.fd))
    listening.call()
    listening.clients[0].close()
    assert brief(kq.control(None, ROOM, SOON)) == [f"{listening.fd} READ d=1"]
    listening.answer()
    idle(kq)


def test_a_listener_cannot_be_written_to(kq: Any, listening: Listener) -> None:
    """S-146: accepted, and silent."""
    assert ready(kq, write(listening.fd)) == []
    listening.call()
    idle(kq)


def test_a_listener_that_is_shut_down(kq: Any) -> None:
    """S-097; trace tcp_listen_shutdown."""
    with socket.create_server((LOCALHOST, 0)) as server:
        assert ready(kq, read(server)) == []
        server.shutdown(socket.SHUT_RDWR)
        (event,) = kq.control(None, ROOM, SOON)
        assert brief([event]) == [f"{server.fileno()} READ EOF ff=ECONNABORTED d=0"]
        assert event.fflags == errno.ECONNABORTED


def test_what_is_not_complete_does_not_count(kq: Any) -> None:
    """S-096: with TCP_DEFER_ACCEPT a connection is complete when its first bytes are there."""
    with socket.create_server((LOCALHOST, 0)) as server:
        server.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 30)
        apply(kq, read(server))
        with socket.create_connection(server.getsockname(), SOON) as client:
            idle(kq)
            client.send(b"x")
            assert brief(kq.control(None, ROOM, SOON)) == [f"{server.fileno()} READ d=1"]
            server.accept()[0].close()


@pytest.mark.needs("MPTCP")
def test_a_listener_that_nobody_counts(kq: Any) -> None:
    """S-411: of MPTCP's, data is 1 for as long as there are any."""
    protocol = 262  # IPPROTO_MPTCP
    with ExitStack() as stack:
        server = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM, protocol))
        server.bind((LOCALHOST, 0))
        server.listen()
        assert ready(kq, read(server)) == []
        for _ in range(2):
            stack.enter_context(socket.create_connection(server.getsockname(), SOON))
            assert brief(kq.control(None, ROOM, SOON)) == [f"{server.fileno()} READ d=1"]
        for _ in range(2):
            stack.enter_context(server.accept()[0])
        idle(kq)
