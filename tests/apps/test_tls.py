"""TLS between the socket and the service."""

from __future__ import annotations

import io
import json
import select
import shutil
import socket
import ssl
from pathlib import Path
from typing import Any

import pytest

from knote.apps.journal import Journal
from knote.apps.limits import Limits
from knote.apps.tls import Tls, TlsError
from tests.apps import services
from tests.apps.programs import dial, exactly, running, serving, to_the_end
from tests.support.waiting import SOON, wait_until

HERE = Path(__file__).parent / "certificates"
FIRST, SECOND = HERE / "first.pem", HERE / "second.pem"

DRIVERS = True


def secured(sock: socket.socket, certificate: Path = FIRST, **how: Any) -> ssl.SSLSocket:
    """The client's side, that trusts this certificate only."""
    context = ssl.create_default_context(cafile=str(certificate))
    if "chain" in how:
        context.load_cert_chain(how["chain"])
    return context.wrap_socket(sock, server_hostname="localhost")


@pytest.mark.parametrize(
    ("service", "answer"),
    [("upper", b"HELLO"), ("echo", b"hello"), (lambda data: data[::-1], b"olleh"), ("discard", b"")],
)
def test_every_kind_of_service(service: Any, answer: bytes) -> None:
    with running(service, tls=Tls(FIRST)) as server, secured(dial(server)) as sock:
        assert sock.version() in ("TLSv1.2", "TLSv1.3")
        sock.sendall(b"hello")
        assert exactly(sock, len(answer)) == answer


def test_one_that_speaks_first_and_last(engine: str) -> None:
    with running(services.Lines, engine=engine, tls=Tls(FIRST)) as server, secured(dial(server)) as sock:
        assert exactly(sock, 8) == b"hello 1\n"
        sock.sendall(b"a\n")
        assert exactly(sock, 2) == b"a\n"
    with running("daytime", engine=engine, tls=Tls(FIRST)) as server, secured(dial(server)) as sock:
        assert b"day, " in to_the_end(sock)


def test_much_of_it_and_a_client_that_reads_late(engine: str) -> None:
    data = bytes(range(256)) * 20_000
    with running("echo", engine=engine, tls=Tls(FIRST)) as server, secured(dial(server)) as sock:
        # One thread for both directions: two must not use one SSL object at a time.
        sock.setblocking(False)
        sent, got = 0, bytearray()
        while len(got) < len(data):
            try:
                if sent < len(data):
                    sent += sock.send(data[sent : sent + 65536])
                    continue
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                pass  # No more goes out until something comes in.
            try:
                part = sock.recv(65536)
                assert part, f"the end after {len(got)} bytes"
                got += part
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                select.select([sock], [sock] if sent < len(data) else [], [], SOON)
        assert got == data


def test_an_async_service(engine: str) -> None:
    with running(services.sums, engine=engine, tls=Tls(FIRST)) as server, secured(dial(server)) as sock:
        sock.sendall(b"1 2\n3 4\n")
        assert exactly(sock, 4) == b"3\n7\n"


def test_who_speaks_no_tls(engine: str) -> None:
    journal = io.StringIO()
    with running(engine=engine, tls=Tls(FIRST), journal=Journal("json", journal)) as server:
        with dial(server) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            try:
                to_the_end(sock)
            except ConnectionResetError:
                pass
        wait_until(lambda: not len(server))
    assert json.loads(journal.getvalue().splitlines()[-1])["why"] == "tls"


@pytest.mark.parametrize("error", [ssl.SSLError("as asked"), ssl.SSLWantReadError("as asked")])
def test_a_service_whose_own_tls_fails(engine: str, error: Exception) -> None:
    """With a server behind it, say: it is the service that failed, and not its client's TLS."""

    def fails(data: bytes) -> bytes:
        raise error

    told: list[str] = []
    journal = io.StringIO()
    how: dict[str, Any] = {"tls": Tls(FIRST), "tell": told.append, "journal": Journal("json", journal)}
    with running(fails, engine=engine, **how) as server, secured(dial(server)) as sock:
        sock.sendall(b"x")
        assert to_the_end(sock) == b""
    assert json.loads(journal.getvalue().splitlines()[-1])["why"] == "failed"
    assert "as asked" in told[0]


def test_half_of_a_greeting_is_no_first_byte(engine: str) -> None:
    """Who begins TLS and never goes on holds a place for as long as who says nothing at all."""
    journal = io.StringIO()
    limits = Limits(first_byte=0.05, idle=30)
    how: dict[str, Any] = {"tls": Tls(FIRST), "limits": limits, "journal": Journal("json", journal)}
    with running(engine=engine, **how) as server:
        with secured(dial(server)) as good, dial(server) as sock:
            sock.sendall(b"\x16\x03\x01\x02\x00\x01")
            assert to_the_end(sock) == b""
            good.sendall(b"x")
            assert exactly(good, 1) == b"X"
        wait_until(lambda: not len(server))
    closed = sorted(json.loads(each)["why"] for each in journal.getvalue().splitlines() if '"close"' in each)
    assert closed == ["client", "first-byte"]


def test_certificates_are_read_again(tmp_path: Path) -> None:
    here = tmp_path / "now.pem"
    shutil.copy(FIRST, here)
    tls = Tls(here)
    with running("echo", tls=tls) as server, secured(dial(server)) as old:
        shutil.copy(SECOND, here)
        tls.reload()
        with secured(dial(server), SECOND) as new:
            for sock in (old, new):
                sock.sendall(b"x")
                assert exactly(sock, 1) == b"x"
        here.write_text("no certificate")
        with pytest.raises(TlsError, match=r"now\.pem"):
            tls.reload()
        with secured(dial(server), SECOND) as sock:
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"x"


def test_clients_may_have_to_show_one() -> None:
    with running("echo", tls=Tls(FIRST, clients=SECOND)) as server:
        with secured(dial(server), chain=SECOND) as sock:
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"x"
        with dial(server) as raw, pytest.raises((ssl.SSLError, ConnectionError)), secured(raw) as sock:
            sock.sendall(b"x")
            to_the_end(sock)


def test_what_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(TlsError, match=r"gone\.pem: No such file"):
        Tls(tmp_path / "gone.pem")
    with pytest.raises(TlsError, match="TLS"):
        Tls(Path(__file__))


def test_the_command() -> None:
    with serving("--tls-cert", str(FIRST)) as server, secured(server.client()) as sock:
        sock.sendall(b"hello")
        assert exactly(sock, 5) == b"HELLO"
        assert server.stop() == 0
