"""A service that closes first: its client gets the whole reply, whatever it is still sending."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest

from knote.apps import linger
from tests.apps.programs import dial, exactly, running, to_the_end
from tests.support.waiting import wait_until

DRIVERS = True


class Curt:
    """Answers what comes first, and closes."""

    reply = b"no\n"

    def connected(self, connection: Any) -> None:
        """Keep it."""
        self.connection = connection

    def data(self, data: bytes) -> None:
        """Enough."""
        self.connection.write(self.reply)
        self.connection.close()


class Wordy(Curt):
    """Has more to say than fits into what lies between."""

    reply = b"no" * 3_000_000


def fails(data: bytes) -> bytes:
    """Raises."""
    raise ZeroDivisionError("as asked")


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody's time is up in a test."""
    monkeypatch.setattr(linger, "MS", 1_000_000)


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize("size", [1, 100_000, 3_000_000])
@pytest.mark.parametrize("service", [Curt, Wordy])
def test_who_sends_on_gets_the_whole_reply(engine: str, service: type[Curt], size: int) -> None:
    with running(service, engine=engine) as server, dial(server) as sock:
        sock.sendall(b"x" * size)
        assert to_the_end(sock) == service.reply
        sock.sendall(b"and more, which nobody reads")
        sock.close()
        wait_until(lambda: not len(server))


@pytest.mark.usefixtures("patient")
def test_a_service_that_fails_resets_nobody(engine: str) -> None:
    said: list[str] = []
    with running(fails, engine=engine, tell=said.append) as server, dial(server) as sock:
        sock.sendall(b"x" * 1_000_000)
        assert to_the_end(sock) == b""
    assert "as asked" in said[0]


@pytest.mark.usefixtures("patient")
def test_a_client_that_has_ended_is_not_waited_for(engine: str) -> None:
    with running(engine=engine) as server, dial(server) as sock:
        sock.sendall(b"x")
        sock.shutdown(socket.SHUT_WR)
        assert to_the_end(sock) == b"X"
        wait_until(lambda: not len(server))


@pytest.mark.usefixtures("patient")
def test_one_that_is_waited_for_counts(engine: str) -> None:
    with running("daytime", engine=engine) as server, dial(server) as sock:
        assert to_the_end(sock)
        assert len(server) == 1
        sock.close()
        wait_until(lambda: not len(server))


@pytest.mark.usefixtures("patient")
def test_who_sends_for_ever_is_reset(engine: str) -> None:
    block = b"x" * 65536
    with running(Curt, engine=engine) as server, dial(server) as sock:
        sent = 0
        with pytest.raises(ConnectionError):
            while sent < 1 << 30:
                sent += sock.send(block)
        assert sent >= linger.BYTES
        wait_until(lambda: not len(server))


def test_a_client_that_does_not_close_has_its_time(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linger, "MS", 10)
    with running("daytime", engine=engine) as server:
        socks = [dial(server) for _ in range(20)]
        for sock in socks:
            assert to_the_end(sock)
        wait_until(lambda: not len(server))
        for sock in socks:
            sock.close()


def test_a_client_that_trickles_has_no_more_than_some_rounds(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(linger, "MS", 10)
    monkeypatch.setattr(linger, "ROUNDS", 3)
    with running("daytime", engine=engine) as server, dial(server) as sock:
        assert to_the_end(sock)

        def gone() -> bool:
            try:
                sock.send(b"x")
            except ConnectionError:
                return True
            return False

        wait_until(gone)
        wait_until(lambda: not len(server))


def test_no_memory_for_the_timer(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is refused it is closed at once, and the next one has its time."""
    monkeypatch.setattr(linger, "MS", 10)
    with running("daytime", engine=engine) as server:
        control = server.lingering._control

        def refuse(*_: object) -> None:
            server.lingering._control = control
            raise OSError(errno.ENOMEM, "as asked")

        server.lingering._control = refuse
        for _ in range(2):
            with dial(server) as sock:
                assert to_the_end(sock)
                wait_until(lambda: not len(server))


def test_no_memory_for_the_timer_of_the_next_round(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is waited for then, and the server goes on."""
    monkeypatch.setattr(linger, "MS", 100)
    with running("daytime", engine=engine) as server:
        control, asked = server.lingering._control, []

        def refuse(*what: object) -> object:
            asked.append(what)
            if len(asked) == 1:
                return control(*what)
            server.lingering._control = control
            raise OSError(errno.ENOMEM, "as asked")

        server.lingering._control = refuse
        with dial(server) as sock:
            assert to_the_end(sock)
            sock.send(b"x")  # one that still sends has another round
            wait_until(lambda: not len(server))
        assert len(asked) == 2
        with dial(server) as sock:
            assert to_the_end(sock)
        wait_until(lambda: not len(server))


def test_the_server_stops_meanwhile(engine: str) -> None:
    with running("daytime", engine=engine) as server, dial(server) as sock, dial(server) as other:
        assert to_the_end(sock)
        assert exactly(other, 1)
        server.stop()
        wait_until(lambda: server.kqueue.closed)
