"""A server behind a proxy: whose connection it is, on both drivers."""

from __future__ import annotations

import io
import json
import socket
from pathlib import Path
from typing import Any

import pytest

from knote.apps.journal import Journal
from knote.apps.limits import Limits
from knote.apps.server import Server
from knote.apps.tls import Tls
from tests.apps import services
from tests.apps.programs import dial, exactly, knote, running, serving, to_the_end
from tests.apps.proxy_headers import BAD, GOOD, LOCAL, V4, line, stream
from tests.apps.test_limits import events
from tests.apps.test_server import reset
from tests.apps.test_tls import FIRST, secured
from tests.support.waiting import wait_until

DRIVERS = True
TRUSTED = ["127.0.0.1"]


def behind(journal: io.StringIO) -> dict[str, Any]:
    """A server that trusts us, and writes down who came."""
    return {"proxy_from": TRUSTED, "journal": Journal("json", journal)}


class Peer:
    """A protocol that says who it talks to, then echoes."""

    def connected(self, connection: Any) -> None:
        """Say it."""
        self.connection = connection
        connection.write(f"{connection.peer}\n".encode())

    def data(self, data: bytes) -> None:
        """Echo."""
        self.connection.write(data)


@pytest.mark.parametrize("name", GOOD)
def test_the_client_is_who_the_proxy_says(engine: str, name: str) -> None:
    header, client = GOOD[name]
    with running(Peer, engine=engine, proxy_from=TRUSTED) as server, dial(server) as sock:
        sock.sendall(header + b"what is behind it")
        expected = client or "{}:{}".format(*sock.getsockname())
        assert exactly(sock, len(expected) + 18) == f"{expected}\nwhat is behind it".encode()
        sock.sendall(line(*V4))  # a second one is data
        assert exactly(sock, len(line(*V4))) == line(*V4)


@pytest.mark.parametrize("service", ["upper", "echo", lambda data: data.upper()], ids=["upper", "echo", "call"])
@pytest.mark.parametrize("header", [line(*V4), stream(*V4)], ids=["v1", "v2"])
def test_a_header_in_pieces(engine: str, service: Any, header: bytes) -> None:
    with running(service, engine=engine, proxy_from=TRUSTED) as server:
        for cut in range(1, len(header)):
            with dial(server) as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.sendall(header[:cut])
                wait_until(lambda cut=cut: _received(server) == cut)
                sock.sendall(header[cut:] + b"A")
                assert exactly(sock, 1) == b"A"
            wait_until(lambda: not len(server))


def _received(server: Server) -> int:
    return sum(connection.received for connection in list(server.connections.values()))


def test_byte_by_byte(engine: str) -> None:
    header = stream(*V4)
    with running("echo", engine=engine, proxy_from=TRUSTED) as server, dial(server) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for count in range(len(header)):
            sock.sendall(header[count : count + 1])
            wait_until(lambda count=count: _received(server) == count + 1)
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"


@pytest.mark.parametrize("service", ["daytime", "chargen"])
def test_services_that_speak_first_wait_for_it(engine: str, service: str) -> None:
    journal = io.StringIO()
    with running(service, engine=engine, **behind(journal)) as server:
        with dial(server) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.sendall(line(*V4)[:10])
            wait_until(lambda: _received(server) == 10)
            (connection,) = server.connections.values()
            assert connection.sent == connection.pending == 0
            sock.sendall(line(*V4)[10:])
            assert len(exactly(sock, 20)) == 20
        wait_until(lambda: not len(server))
    assert events(journal)[0]["peer"] == "192.0.2.1:5000"


@pytest.mark.parametrize("name", ["HTTP", "one byte", "v1 port", "v1 no end", "v2 too long", "v2 command"])
def test_what_is_no_header_is_closed_and_told_once(engine: str, name: str) -> None:
    journal = io.StringIO()
    said: list[str] = []
    with running("echo", engine=engine, tell=said.append, **behind(journal)) as server:
        for _ in range(3):
            with dial(server) as sock:
                sock.sendall(BAD[name][0])
                try:
                    assert to_the_end(sock) == b""
                except ConnectionResetError:
                    pass  # it had sent more than was read
        wait_until(lambda: not len(server))
    assert [(each["event"], each["why"]) for each in events(journal)] == [("refused", "proxy")] * 3
    assert len(said) == 1
    assert "trusted to send a PROXY header (--proxy-from)" in said[0]
    assert BAD[name][1] in said[0]


@pytest.mark.parametrize(("sent", "why"), [(b"", "client"), (b"PROXY TC", "proxy"), (stream(*V4)[:20], "proxy")])
def test_an_end_before_its_end(engine: str, sent: bytes, why: str) -> None:
    """A check that only connects is nothing strange; half a header is."""
    journal = io.StringIO()
    with running(services.Lines, engine=engine, **behind(journal)) as server:
        with dial(server) as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            assert to_the_end(sock) == b""
        wait_until(lambda: not len(server))
    assert [(each["event"], each["why"]) for each in events(journal)] == [("refused", why)]


def test_a_reset_before_its_end(engine: str) -> None:
    journal = io.StringIO()
    with running("echo", engine=engine, **behind(journal)) as server:
        sock = dial(server)
        sock.sendall(b"PROXY ")
        wait_until(lambda: _received(server) == 6)
        reset(sock)
        wait_until(lambda: not len(server))
    assert [(each["event"], each["why"]) for each in events(journal)] == [("refused", "reset")]


def test_from_others_it_is_data(engine: str) -> None:
    """Nobody else can say that he is somebody else."""
    journal = io.StringIO()
    with running("echo", engine=engine, proxy_from=["192.0.2.0/24"], journal=Journal("json", journal)) as server:
        with dial(server) as sock:
            sock.sendall(line(*V4))
            assert exactly(sock, len(line(*V4))) == line(*V4)
            own = "{}:{}".format(*sock.getsockname())
        wait_until(lambda: not len(server))
    assert [each["peer"] for each in events(journal)] == [own, own]


@pytest.mark.parametrize("service", [lambda data: data[::-1], "echo"], ids=["call", "echo"])
def test_it_comes_before_tls(engine: str, service: Any) -> None:
    with running(service, engine=engine, tls=Tls(FIRST), proxy_from=TRUSTED) as server, dial(server) as raw:
        raw.sendall(stream(*V4))
        with secured(raw) as sock:
            sock.sendall(b"abba")
            assert exactly(sock, 4) == b"abba"
            (connection,) = server.connections.values()
            assert connection.peer == "192.0.2.1:5000"


def test_limits_are_of_the_client(engine: str) -> None:
    journal = io.StringIO()
    others = [line(f"192.0.2.{number}", "192.0.2.99", 1, 2) for number in (2, 3, 4)]
    limits = Limits(per_address=1)
    with running("echo", engine=engine, limits=limits, **behind(journal)) as server:
        socks = []
        for header in (line(*V4), *others, LOCAL, LOCAL):
            socks.append(dial(server))
            socks[-1].sendall(header + b"x")
            assert exactly(socks[-1], 1) == b"x"
        with dial(server) as more:
            more.sendall(stream(*V4) + b"x")
            assert to_the_end(more) == b""
        socks[0].close()
        wait_until(lambda: len(server) == 5)
        with dial(server) as again:
            again.sendall(stream(*V4) + b"x")
            assert exactly(again, 1) == b"x"
        for sock in socks:
            sock.close()
        wait_until(lambda: not len(server))
        assert not len(server._addresses)
    refused = [each for each in events(journal) if each["event"] == "refused"]
    assert [(each["peer"], each["why"]) for each in refused] == [("192.0.2.1:5000", "per-address")]


def test_the_log_has_both(engine: str) -> None:
    journal = io.StringIO()
    with running("echo", engine=engine, **behind(journal)) as server:
        with dial(server) as sock:
            sock.sendall(line(*V4) + b"x")
            assert exactly(sock, 1) == b"x"
            via = "{}:{}".format(*sock.getsockname())
        wait_until(lambda: not len(server))
    first, last = events(journal)
    assert (first["peer"], first["via"], first["event"]) == ("192.0.2.1:5000", via, "open")
    assert (last["peer"], last["why"], last["event"]) == ("192.0.2.1:5000", "client", "close")


@pytest.mark.parametrize("sent", [b"", b"PROXY TCP4 ", line(*V4)], ids=["nothing", "half", "whole"])
def test_the_time_for_the_first_byte(engine: str, sent: bytes) -> None:
    """The whole header has to be there in time, and the client behind the proxy has a first byte, too."""
    journal = io.StringIO()
    limits = Limits(first_byte=0.05, idle=30)
    with running("echo", engine=engine, limits=limits, **behind(journal)) as server:
        with dial(server) as sock:
            sock.sendall(sent)
            assert to_the_end(sock) == b""
        wait_until(lambda: not len(server))
    assert events(journal)[-1]["why"] == "first-byte"


def test_a_request_costs_nothing_for_it(engine: str) -> None:
    """Nothing lies between socket and service any more, so a built-in service has its compiled path."""
    with running("upper", engine=engine, proxy_from=TRUSTED) as server, dial(server) as sock:
        sock.sendall(stream(*V4) + b"x")
        assert exactly(sock, 1) == b"X"
        (connection,) = server.connections.values()
        assert connection.wrap is None


def test_unix_sockets(engine: str, tmp_path: Path) -> None:
    path = str(tmp_path / "up")
    with (
        running("upper", engine=engine, listen=[f"unix:{path}"], proxy_from=["unix"]) as server,
        socket.socket(socket.AF_UNIX) as sock,
    ):
        sock.connect(path)
        sock.sendall(line(*V4) + b"x")
        assert exactly(sock, 1) == b"X"
        (connection,) = server.connections.values()
        assert connection.peer == "192.0.2.1:5000"


def test_the_command() -> None:
    with serving("--proxy-from", "127.0.0.0/8", "--proxy-from", "unix", "--log", "json") as server:
        with server.client() as sock:
            sock.sendall(line(*V4) + b"x")
            assert exactly(sock, 1) == b"X"
        assert server.process.stderr is not None
        assert json.loads(server.process.stderr.readline())["peer"] == "192.0.2.1:5000"
        assert server.stop() == 0


def test_a_word_that_is_no_net() -> None:
    done = knote("serve", "--proxy-from", "10.0.0.1/8")
    assert done.returncode == 2
    assert b"--proxy-from: '10.0.0.1/8' is an address in a net: write 10.0.0.0/8" in done.stderr
