"""Where a server listens: several addresses, UNIX sockets, sockets that others opened; and how it starts and
stops."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from knote.apps.server import Server
from tests.apps.programs import dial, exactly, serving
from tests.support.waiting import SOON

DRIVERS = True



def ask(name: object) -> bytes:
    """One question over a new connection."""
    unix = isinstance(name, str)
    with socket.socket(socket.AF_UNIX if unix else socket.AF_INET) as sock:
        sock.settimeout(SOON)
        sock.connect(name)  # type: ignore[arg-type]
        sock.sendall(b"hello")
        return exactly(sock, 5)


def test_several_at_once(engine: str, tmp_path: Path) -> None:
    path = str(tmp_path / "up.sock")
    with Server(listen=["127.0.0.1:0", f"unix:{path}", ("127.0.0.1", 0)], engine=engine).start() as server:
        first, second, third = server.listeners
        assert server.addresses == [f"127.0.0.1:{first.name[1]}", f"unix:{path}", f"127.0.0.1:{third.name[1]}"]
        assert first.name[1] != third.name[1]
        for listener in (first, second, third, first):
            assert ask(listener.name) == b"HELLO"
    assert not os.path.exists(path)


def test_one_that_another_opened(engine: str) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    with Server(listen=[sock], service="echo", engine=engine).start() as server:
        assert ask(server.address) == b"hello"
    assert sock.fileno() == -1


def test_a_path_that_is_left_over_and_one_that_is_not(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(path)
    with Server(listen=[f"unix:{path}"]) as server:
        assert server.addresses == [f"unix:{path}"]
        with pytest.raises(OSError, match="in use"):
            Server(listen=[f"unix:{path}"])
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="in use"):
        Server(listen=[f"unix:{tmp_path / 'file'}"])
    assert (tmp_path / "file").read_text() == "mine"


def test_a_name_without_a_file(engine: str) -> None:
    with Server(listen=["unix:@knote test"], engine=engine).start() as server:
        assert ask(server.address if isinstance(server.address, str) else server.address.decode()) == b"HELLO"


def test_all_or_nothing() -> None:
    with Server() as taken, pytest.raises(OSError, match="in use") as caught:
        Server(listen=["127.0.0.1:0", ("127.0.0.1", taken.address[1])])
    assert caught.value.filename == str(taken)
    with pytest.raises(ValueError, match="listens somewhere"):
        Server(listen=[])


def test_start_and_stop(engine: str) -> None:
    server = Server(engine=engine).start()
    with pytest.raises(RuntimeError, match="already"):
        server.start()
    with dial(server) as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"X"
        server.stop()
        assert server.join(SOON)
    with pytest.raises(ConnectionRefusedError):
        dial(server)


def test_what_its_thread_raised_comes_out_of_join() -> None:
    """Of a service that is the operator's Ctrl-C and nothing else."""

    def bad(data: bytes) -> bytes:
        raise KeyboardInterrupt

    server = Server(service=bad).start()
    with dial(server) as sock:
        sock.sendall(b"x")
        with pytest.raises(KeyboardInterrupt):
            server.join()


def test_the_command_takes_several(tmp_path: Path) -> None:
    path = str(tmp_path / "s")
    with serving("127.0.0.1:0", f"unix:{path}", "--log", "json") as server:
        assert server.lines[1] == f"unix:{path}\n"
        assert ask(path) == b"HELLO"
        assert server.stop() == 0
        assert server.process.stderr is not None
        said = server.process.stderr.read().decode().splitlines()
    assert ['"open"' in line for line in said] == [True, False]
