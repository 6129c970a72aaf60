"""Where a server listens: every address, UNIX sockets with a file and without, and what it says of those that it
cannot have."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from knote.apps import address
from knote.apps.doors import Doors
from knote.apps.listener import opened
from knote.apps.server import Server
from tests.apps.programs import exactly, knote, running, serving, started
from tests.apps.test_server import HOSTS
from tests.support.waiting import SOON

DRIVERS = True


def asked(sock: socket.socket) -> bytes:
    """What comes back for a letter."""
    sock.sendall(b"x")
    return exactly(sock, 1)


def test_every_address_is_one_of_ipv6_too(engine: str) -> None:
    with running(host="", engine=engine) as server:
        for host in HOSTS:
            with socket.create_connection((host, server.address[1]), SOON) as sock:
                assert asked(sock) == b"X"
                name = address.join(*sock.getsockname()[:2])
                assert [one.peer for one in list(server.connections.values())][-1] == name


def test_every_address_of_many_workers() -> None:
    first, second = opened(":0", 2)
    with first, second:
        assert first.getsockname() == second.getsockname()


def test_every_address_where_there_is_no_ipv6(monkeypatch: pytest.MonkeyPatch) -> None:
    class Old(socket.socket):
        def __init__(self, family: int = -1, *how: int, **more: int) -> None:
            if family == socket.AF_INET6:
                raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
            super().__init__(family, *how, **more)

    monkeypatch.setattr(socket, "socket", Old)
    (sock,) = opened(":0")
    with sock:
        assert sock.getsockname()[0] == "0.0.0.0"


def test_a_name_without_a_file() -> None:
    name = f"unix:@knote-{os.getpid()}"
    with started("serve", name, "--log", "human", stdout=-1, stderr=-1) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline().decode() == f"{name}\n"
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(f"\0{name[6:]}")
            assert asked(sock) == b"X"
        assert process.stderr.readline().decode().rstrip().endswith(f"listener={name}")


def test_who_cannot_listen_everywhere_leaves_nothing(tmp_path: Path) -> None:
    file = tmp_path / "s"
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = address.text(other.getsockname())
        for begin in (lambda where: Server(listen=where), lambda where: Doors(where, 2)):
            with pytest.raises(OSError, match="in use") as raised:
                begin([f"unix:{file}", taken])
            assert raised.value.filename == taken
            assert not file.exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [("", "unix: has no path"), ("/tmp/" + "n" * 103, "no more than 107 bytes"), ("@" + "n" * 108, "107 bytes")],
)
def test_what_is_no_path(name: str, words: str) -> None:
    said = knote("serve", f"unix:{name}")
    assert said.returncode == 2
    assert words in said.stderr.decode()
    with pytest.raises(address.AddressError, match=words):
        opened(f"unix:{name}")


def test_a_path_that_is_taken(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    said = knote("serve", f"unix:{tmp_path}/file")
    assert said.returncode == 1
    assert b"Address already in use; somebody listens there, or it is a file of another kind\n" in said.stderr
    said = knote("serve", f"unix:{tmp_path}/none/s")
    assert said.stderr.endswith(b"none/s: No such file or directory\n")


def test_the_longest_path_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("n" * 107, "@" + "n" * 107):
        with opened(f"unix:{name}")[0] as sock:
            assert address.named(sock.getsockname()) == f"unix:{name}"


def test_port_on_every_address_from_a_shell() -> None:
    with serving(":0") as server:
        assert server.lines[0].startswith(("[::]:", "0.0.0.0:"))
        with socket.create_connection(("127.0.0.1", server.port), SOON) as sock:
            assert asked(sock) == b"X"
