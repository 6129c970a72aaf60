"""knote connect: nothing lost in either direction, whoever ends first, from any kind of standard input."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from knote.apps import dial, lookup
from knote.apps.client import ConnectError, talk
from knote.apps.server import Server
from tests.apps.lookups import saying
from tests.apps.programs import (
    SIZES,
    beside,
    ended,
    exactly,
    feed,
    knote,
    rss,
    running,
    settled,
    started,
    to_the_end,
)
from tests.apps.test_cat import SINKS, SOURCES, content, into_file, into_pipe
from tests.apps.test_server import reset
from tests.support.plumbing import listener
from tests.support.waiting import SOON, wait_until


@pytest.fixture
def server() -> Iterator[Server]:
    """The upper-case server."""
    with running() as made:
        yield made


@contextmanager
def answering(behave: Callable[[socket.socket], None]) -> Iterator[str]:
    """A server for one connection, which behaves like that; its port."""
    with listener() as door:
        door.settimeout(SOON)

        def serve() -> None:
            sock, _ = door.accept()
            with sock:
                sock.settimeout(SOON)
                behave(sock)

        with beside(serve):
            yield str(door.getsockname()[1])


def port_of(server: Server) -> str:
    return str(server.address[1])


def test_ctrl_c_is_heard_at_any_moment(server: Server) -> None:
    """The wakeup descriptor is the queue's while it runs, and nobody's afterwards."""
    seen: list[int] = []

    def look(queue: object, session: object) -> None:
        seen.append(signal.set_wakeup_fd(-1))
        signal.set_wakeup_fd(seen[0])

    with open(os.devnull, "wb") as nowhere:
        assert talk("127.0.0.1", server.address[1], stdin=None, stdout=nowhere.fileno(), attend=look) == 0
    assert len(seen) == 1 and seen[0] >= 0
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sink", [into_file, into_pipe])
@pytest.mark.parametrize("source", SOURCES)
def test_any_size_from_anything(
    engine: str, server: Server, source: Any, sink: Any, size: int, tmp_path: Path
) -> None:
    data = content(size)
    with sink(tmp_path) as to, source(data, tmp_path) as fd:
        talk("127.0.0.1", server.address[1], stdin=fd, stdout=to.fd, engine=engine)
        assert os.get_blocking(fd)
        assert os.get_blocking(to.fd)
        assert to.finish() == data.upper()


@pytest.mark.parametrize("sink", SINKS)
@pytest.mark.parametrize("source", SOURCES)
def test_as_a_process(server: Server, source: Any, sink: Any, tmp_path: Path) -> None:
    data = content(300_001)
    with sink(tmp_path) as to, source(data, tmp_path) as fd:
        done = knote("connect", "127.0.0.1", port_of(server), stdin=fd, stdout=to.fd)
        assert (done.returncode, done.stderr) == (0, b"")
        assert to.finish() == data.upper()


def test_much_more_than_all_buffers(server: Server, tmp_path: Path) -> None:
    data = content(50_000_000)
    (tmp_path / "in").write_bytes(data)
    with (tmp_path / "in").open("rb") as source, (tmp_path / "out").open("wb") as sink:
        done = knote("connect", f"127.0.0.1:{port_of(server)}", stdin=source, stdout=sink)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (tmp_path / "out").read_bytes() == data.upper()


def test_a_reader_that_is_slower_than_all_others(server: Server, tmp_path: Path) -> None:
    """The answers back up through the server to our own sending, in bounded memory; then all of it comes."""
    data = content(30_000_000)
    (tmp_path / "in").write_bytes(data)
    with (
        (tmp_path / "in").open("rb") as source,
        started("connect", "127.0.0.1", port_of(server), stdin=source, stdout=subprocess.PIPE) as process,
    ):
        settled(process)
        wait_until(lambda: len(server) == 1)
        held = rss(process.pid)
        assert process.stdout is not None
        got = process.stdout.read()
        assert ended(process) == 0
    assert held < 60 << 20
    assert got == data.upper()


def test_a_terminal_on_both_sides(server: Server) -> None:
    master, slave = os.openpty()
    with started("connect", "127.0.0.1", port_of(server), stdin=slave, stdout=slave, stderr=slave) as process:
        said = b""
        for line in (b"hello\n", b"world\n"):
            os.write(master, line)
            said = b""
            while line.strip().upper() not in said:  # after the terminal's own echo
                said += os.read(master, 1000)
        os.write(master, b"\x04")
        assert ended(process) == 0
    assert os.get_blocking(slave)
    os.close(master)
    os.close(slave)


def test_no_input_at_all(server: Server) -> None:
    done = knote("connect", "127.0.0.1", port_of(server))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


def test_the_answer_comes_after_the_end_of_input() -> None:
    def behave(sock: socket.socket) -> None:
        assert to_the_end(sock) == b"question"
        sock.sendall(b"answer")

    with answering(behave) as port:
        done = knote("connect", "127.0.0.1", port, input=b"question")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"answer", b"")


def test_a_server_that_speaks_and_hangs_up() -> None:
    """As daytime does.  Who sits at a terminal and types nothing is not waited for."""
    master, slave = os.openpty()
    with (
        answering(lambda sock: sock.sendall(b"noon\n")) as port,
        started("connect", "127.0.0.1", port, stdin=slave, stdout=subprocess.PIPE) as process,
    ):
        assert ended(process) == 0
        assert process.stdout is not None
        assert process.stdout.read() == b"noon\n"
    os.close(master)
    os.close(slave)


def test_a_server_that_ends_first_and_still_listens(tmp_path: Path) -> None:
    data = content(3_000_000)
    got: list[bytes] = []

    def behave(sock: socket.socket) -> None:
        sock.sendall(b"I listen")
        sock.shutdown(socket.SHUT_WR)
        got.append(to_the_end(sock))

    (tmp_path / "in").write_bytes(data)
    with answering(behave) as port, (tmp_path / "in").open("rb") as source:
        done = knote("connect", "127.0.0.1", port, stdin=source)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"I listen", b"")
    assert got == [data]


def test_a_server_that_leaves_before_all_was_sent() -> None:
    def behave(sock: socket.socket) -> None:
        sock.sendall(b"enough")
        assert sock.recv(1)

    with answering(behave) as port, open("/dev/zero", "rb") as endless:
        done = knote("connect", "127.0.0.1", port, stdin=endless)
    assert done.returncode == 1
    assert done.stdout == b"enough"
    assert done.stderr.startswith(f"knote connect: 127.0.0.1:{port}: ".encode())
    assert done.stderr.count(b"\n") == 1


def test_a_reset() -> None:
    def behave(sock: socket.socket) -> None:
        sock.sendall(b"half an ans")
        exactly(sock, 3)
        reset(sock)

    with answering(behave) as port:
        done = knote("connect", "127.0.0.1", port, input=b"ask")
    assert done.returncode == 1
    assert done.stderr == f"knote connect: 127.0.0.1:{port}: Connection reset by peer\n".encode()


def test_connection_refused() -> None:
    with listener() as door:
        port = door.getsockname()[1]
    done = knote("connect", "127.0.0.1", str(port))
    assert done.returncode == 1
    assert done.stderr == f"knote connect: 127.0.0.1:{port}: Connection refused\n".encode()


def test_hosts_and_ports_that_do_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    done = knote("connect", "127.0.0.1", "no-such-service")
    assert done.returncode == 1
    assert done.stderr.startswith(b"knote connect: 127.0.0.1:no-such-service: 'no-such-service' is neither a port")
    done = knote("connect", "a..b", "1")
    assert done.returncode == 1
    assert done.stderr.startswith(b"knote connect: a..b:1: no valid host name")

    monkeypatch.setattr(lookup, "CHILD", saying((socket.EAI_NONAME, "Name or service not known")))
    with pytest.raises(ConnectError, match="nowhere:80: Name or service not known"):
        talk("nowhere", 80, stdin=None)


def test_every_address_of_a_host_in_order(
    engine: str, server: Server, monkeypatch: pytest.MonkeyPatch, pipe: Any
) -> None:
    with listener() as door:
        closed = door.getsockname()
    asked: list[Any] = []
    before = dial.begin
    monkeypatch.setattr(dial, "begin", lambda sock, to: (asked.append(to), before(sock, to))[1])

    def found(*args: Any, **how: Any) -> Any:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", to) for to in (closed, server.address, closed)]

    monkeypatch.setattr(socket, "getaddrinfo", found)
    talk("both", 1, stdin=None, stdout=pipe.w, engine=engine)
    assert asked == [closed, server.address]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **how: found()[::2])
    with pytest.raises(ConnectError, match="refused") as caught:
        talk("both", 1, stdin=None, stdout=pipe.w, engine=engine)
    assert caught.value.errno == errno.ECONNREFUSED


def test_ctrl_c() -> None:
    with listener() as door, started(
        "connect", "127.0.0.1", str(door.getsockname()[1]), stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        settled(process)
        process.send_signal(signal.SIGINT)
        assert ended(process) == -signal.SIGINT  # a shell's 130
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_a_closed_pipe_ends_it_quietly(server: Server) -> None:
    r, w = os.pipe()
    os.close(r)
    done = knote("connect", "127.0.0.1", port_of(server), input=b"x", stdout=w)
    os.close(w)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, b"")


def test_a_full_disk(server: Server) -> None:
    with open("/dev/full", "wb") as full:
        done = knote("connect", "127.0.0.1", port_of(server), input=b"x", stdout=full)
    assert done.returncode == 1
    assert done.stderr == b"knote connect: standard output (/dev/full): No space left on device\n"


def test_input_that_cannot_be_read(server: Server, tmp_path: Path) -> None:
    fd = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(IsADirectoryError) as caught:
        talk("127.0.0.1", server.address[1], stdin=fd)
    os.close(fd)
    assert caught.value.filename == "standard input"


def test_closed_standard_descriptors(server: Server) -> None:
    from tests.apps.test_cat import shell

    done = shell(f"knote connect 127.0.0.1 {port_of(server)} <&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    done = shell(f"knote connect 127.0.0.1 {port_of(server)} >&-")
    assert done.returncode == 1
    assert b"standard output is closed" in done.stderr
    done = shell(f"echo hi | knote connect 127.0.0.1 {port_of(server)} 2>&-")
    assert (done.returncode, done.stdout) == (0, b"HI\n")


@pytest.mark.parametrize(
    ("words", "said"),
    [([], "HOST"), (["127.0.0.1"], "has no port"), (["::1:70"], "brackets"), (["h", "70000"], "65535"),
     (["127.0.0.1", "1", "--engine", "abacus"], "'abacus'")],
)  # fmt: skip
def test_command_lines_that_are_wrong(words: list[str], said: str) -> None:
    done = knote("connect", *words)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert b"Try 'knote connect --help'" in done.stderr


def test_an_input_that_trickles(server: Server) -> None:
    """Each piece goes at once and its answer comes at once: nothing waits for a buffer to fill."""
    with started(
        "connect", "127.0.0.1", port_of(server), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
    ) as process:
        assert process.stdin is not None and process.stdout is not None
        for number in range(20):
            process.stdin.write(b"a%d" % number)
            got = b""
            while len(got) < len(b"a%d" % number):
                got += process.stdout.read(100)
            assert got == b"A%d" % number
        process.stdin.close()
        assert ended(process) == 0


def test_ipv6(engine: str, pipe: Any) -> None:
    from tests.apps.test_server import HOSTS

    for host in HOSTS:
        with running(host=host, engine=engine) as server:
            r, w = os.pipe()
            feed(w, b"six")
            talk(host, server.address[1], stdin=r, stdout=pipe.w, engine=engine)
            os.close(r)
            assert pipe.read() == b"SIX"


