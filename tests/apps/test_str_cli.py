"""examples/str_cli_*.py: the programs of Stevens' client, each as its user runs it."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.apps.programs import PATIENCE, settled

EXAMPLES = Path(__file__).parents[2] / "examples"
INTERFACES = ("devpoll", "kqueue", "eventport", "iocp")


def program(interface: str, *words: str) -> list[str]:
    return [sys.executable, "-W", "error", str(EXAMPLES / f"str_cli_{interface}.py"), *words]


def run(interface: str, listener: socket.socket, stdin: object) -> subprocess.CompletedProcess[bytes]:
    words = program(interface, *map(str, listener.getsockname()[:2]))
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


@pytest.mark.needs("examples/")
@pytest.mark.parametrize("interface", INTERFACES)
def test_how_it_is_used(interface: str) -> None:
    def said(*words: str) -> tuple[int, str, str]:
        how = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": PATIENCE}
        done = subprocess.run(program(interface, *words), check=False, **how)  # type: ignore[call-overload]
        return done.returncode, done.stdout, done.stderr

    usage = f"usage: str_cli_{interface}.py [-h] HOST PORT\n"
    status, out, err = said("--help")
    assert (status, out.startswith(usage), err) == (0, True, "")
    for words in ([], ["127.0.0.1"], ["127.0.0.1", "http"], ["127.0.0.1", "1", "2"]):
        status, out, err = said(*words)
        assert (status, out, err.startswith(usage)) == (2, "", True)


@pytest.mark.needs("examples/")
def test_a_server_that_is_not_there() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = str(nobody.getsockname()[1])
        done = subprocess.run(program("kqueue", "127.0.0.1", port), capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == f"str_cli: 127.0.0.1:{port}: [Errno 111] Connection refused\n".encode()


@pytest.mark.needs("examples/")
@pytest.mark.parametrize("interface", INTERFACES)
def test_ctrl_c(interface: str, tcp_listener: socket.socket) -> None:
    words = program(interface, *map(str, tcp_listener.getsockname()[:2]))
    tcp_listener.settimeout(PATIENCE)
    ends = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    with subprocess.Popen(words, **ends) as process:  # type: ignore[call-overload]
        with tcp_listener.accept()[0] as client:
            # That it waits: what it was sent has come out of it.
            client.sendall(b"hello")
            assert process.stdout is not None
            assert process.stdout.read(5) == b"hello"
            settled(process)
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130
        assert process.stderr is not None
        assert process.stderr.read() == b""
