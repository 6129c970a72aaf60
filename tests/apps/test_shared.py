"""One listening socket from which several servers accept: who has room takes who comes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from knote.apps.limits import Limits
from knote.apps.listener import listen_unix
from knote.apps.server import Server
from tests.apps.crew import LONG, crew
from tests.apps.programs import exactly, running
from tests.support.waiting import SOON, wait_until

DRIVERS = True


def client(path: str) -> socket.socket:
    """A new connection."""
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(SOON)
    sock.connect(path)
    return sock


@contextmanager
def two(
    path: str, engine: str, service: object = "upper", connections: int = 0
) -> Iterator[tuple[Server, Server]]:
    """Servers that share a UNIX socket."""
    sock = listen_unix(path)
    limits = Limits(connections=connections)
    with (
        running(service, engine=engine, listen=[sock.dup()], limits=limits) as one,
        running(service, engine=engine, listen=[sock], limits=limits) as other,
    ):
        yield one, other


def test_one_that_is_full_leaves_the_next_to_the_other(engine: str, tmp_path: Path) -> None:
    path = str(tmp_path / "up")
    with two(path, engine, connections=2) as (one, other):
        for _ in range(3):
            socks = [client(path) for _ in range(4)]
            for sock in socks:
                sock.sendall(b"x")
            for sock in socks:
                assert exactly(sock, 1) == b"X"
            assert len(one) == len(other) == 2
            with client(path) as waits:
                waits.sendall(b"y")
                socks.pop().close()  # and whoever had it has room
                assert exactly(waits, 1) == b"Y"
            for sock in socks:
                sock.close()
            wait_until(lambda: not len(one) + len(other), what="all have gone")


def test_one_that_stands_still_leaves_them_to_the_other(engine: str, tmp_path: Path) -> None:
    entered, opened = threading.Event(), threading.Event()

    def answer(data: bytes) -> bytes:
        if data == b"stand still":
            entered.set()
            assert opened.wait(LONG)
        return data.upper()

    path = str(tmp_path / "up")
    with two(path, engine, answer):
        for _ in range(3):  # so that it is not the first one's turn only because he is the first
            with client(path) as sock:
                sock.sendall(b"x")
                assert exactly(sock, 1) == b"X"
        stands = client(path)
        stands.sendall(b"stand still")
        assert entered.wait(SOON)
        try:
            for _ in range(8):
                with client(path) as sock:
                    sock.sendall(b"x")
                    assert exactly(sock, 1) == b"X"
        finally:
            opened.set()
        with stands:
            assert exactly(stands, 11) == b"STAND STILL"


def test_workers_that_are_full(engine: str, tmp_path: Path) -> None:
    path = str(tmp_path / "up")
    words = ["--workers", "2", "--engine", engine, "--max-connections", "1"]
    with crew(tmp_path, *words, "127.0.0.1:0", f"unix:{path}") as server:
        socks = [client(path) for _ in range(2)]
        for sock in socks:
            sock.sendall(b"?")
        assert {int(exactly(sock, 10)) for sock in socks} == set(server.workers())
        for sock in socks:
            sock.close()
        assert server.terminate() == 0
