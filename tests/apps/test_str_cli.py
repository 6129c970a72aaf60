"""examples/str_cli_*.py: the programs of Stevens' client, each as its user runs it."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.apps.programs import PATIENCE

EXAMPLES = Path(__file__).parents[2] / "examples"
INTERFACES = ("devpoll", "kqueue", "eventport", "iocp")


def run(interface: str, listener: socket.socket, stdin: object) -> subprocess.CompletedProcess[bytes]:
    program = EXAMPLES / f"str_cli_{interface}.py"
    words = [sys.executable, "-W", "error", str(program), *map(str, listener.getsockname()[:2])]
    given = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    return subprocess.run(words, capture_output=True, timeout=PATIENCE, check=False, **given)  # type: ignore[call-overload]


def serving(listener: socket.socket, echo: bool) -> threading.Thread:
    """A server for one client: it reads to the end, then says it all, in capitals."""

    def serve() -> None:
        client = listener.accept()[0]
        with client:
            heard = b""
            while echo and (data := client.recv(65536)):
                heard += data
            client.sendall(heard.upper())

    listener.settimeout(PATIENCE)
    thread = threading.Thread(target=serve)
    thread.start()
    return thread


@pytest.mark.needs("examples/")
@pytest.mark.parametrize("interface", INTERFACES)
def test_half_close(interface: str, tcp_listener: socket.socket) -> None:
    """The answer comes after the end of input, and is read to its own end."""
    server = serving(tcp_listener, True)
    text = b"a line\n" * 9000
    done = run(interface, tcp_listener, text)
    server.join()
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == text.upper()


@pytest.mark.needs("examples/")
@pytest.mark.parametrize("interface", INTERFACES)
@pytest.mark.parametrize("text", [b"", b"from a file\n" * 999], ids=["empty", "full"])
def test_from_a_file(interface: str, tcp_listener: socket.socket, tmp_path: Path, text: bytes) -> None:
    """A file is always ready, at its end, too."""
    path = tmp_path / "input"
    path.write_bytes(text)
    server = serving(tcp_listener, True)
    with path.open("rb") as file:
        done = run(interface, tcp_listener, file)
    server.join()
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == text.upper()


@pytest.mark.needs("examples/")
@pytest.mark.parametrize("interface", INTERFACES)
def test_the_server_ends_first(interface: str, tcp_listener: socket.socket) -> None:
    """Stevens' message."""
    server = serving(tcp_listener, False)
    reader, writer = socket.socketpair()
    with reader, writer:
        done = run(interface, tcp_listener, reader.fileno())
    server.join()
    assert (done.returncode, done.stderr) == (1, b"str_cli: server terminated prematurely\n")
