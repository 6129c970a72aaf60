"""knote connect: who ends first, over TCP, UNIX and TLS: all bytes both ways, and the right exit status."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import socket
import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from knote.apps.client import talk
from knote.apps.session import Manners
from tests.apps.programs import all_of, beside, command, ended, feed, knote, started, to_the_end
from tests.apps.test_cat import content
from tests.apps.test_server import reset
from tests.support.waiting import SOON

KINDS: Final = ("tcp", "unix", "tls")
PEM: Final = Path(__file__).parent / "certificates" / "localhost.pem"
"""A certificate that names localhost and 127.0.0.1 and is its own authority, and its key; good for 100 years."""

THERE, BACK = content(1_500_001), content(1_300_007)


class Place(NamedTuple):
    """Where a server is: words of a command line, arguments of talk()."""

    words: list[str]
    where: tuple[str, str]
    how: dict[str, Any]


def client_context() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=PEM)


def server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(PEM)
    return context


class Tls:
    """The server's side of TLS over a blocking socket.  ssl's own socket cannot end one half while bytes come: its
    unwrap() reads, and takes them for an error."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._read = b""
        self._from, self._to = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = server_context().wrap_bio(self._from, self._to, server_side=True)
        try:
            self._until(self._tls.do_handshake)
        finally:
            self._flush()

    def _flush(self) -> None:
        self._sock.sendall(self._to.read())

    def _until(self, step: Callable[[], Any]) -> Any:
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._sock.recv(65536)
                self._from.write(data) if data else self._from.write_eof()

    def recv(self, count: int) -> bytes:
        try:
            if self._read:
                data, self._read = self._read, b""
                return data
            return bytes(self._until(lambda: self._tls.read(count)))
        except ssl.SSLZeroReturnError:
            return b""

    def sendall(self, data: bytes) -> None:
        for at in range(0, len(data), 16384):
            self._tls.write(data[at : at + 16384])
            self._flush()

    def shutdown(self, how: int) -> None:
        with contextlib.suppress(ssl.SSLWantReadError):
            while self._from.pending or self._tls.pending():
                self._read += self._tls.read(65536)
        with pytest.raises(ssl.SSLWantReadError):  # the other side's end has not come
            self._tls.unwrap()
        self._flush()

    def hold(self) -> None:
        """Until the other side hangs up."""
        assert self._sock.recv(1) == b""

    def settimeout(self, seconds: float) -> None:
        self._sock.settimeout(seconds)


@contextmanager
def served(kind: str, tmp_path: Path, behave: Callable[[Any], object]) -> Iterator[Place]:
    """A server for one connection, which behaves like that."""
    door = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
    with door:
        path = str(tmp_path / "door")
        door.bind(path if kind == "unix" else ("127.0.0.1", 0))
        door.listen(1)
        door.settimeout(SOON)

        def serve() -> None:
            sock, _ = door.accept()
            sock.settimeout(SOON)
            with sock:
                behave(Tls(sock) if kind == "tls" else sock)

        with beside(serve):
            if kind == "unix":
                yield Place([path], ("", path), {})
            else:
                port = str(door.getsockname()[1])
                tls = {"tls": client_context()} if kind == "tls" else {}
                words = ["--tls", "--ca", str(PEM)] if kind == "tls" else []
                yield Place([*words, "127.0.0.1", port], ("127.0.0.1", port), tls)


def half_close(sock: Any) -> None:
    """No more from here; the other side may go on."""
    sock.shutdown(socket.SHUT_WR)


def finish(sock: Any) -> None:
    """No more from here, where both have ended."""
    if isinstance(sock, Tls):
        sock._tls.unwrap()
        sock._flush()


@contextmanager
def ends(data: bytes) -> Iterator[tuple[int, int, Callable[[], bytes]]]:
    """stdin with data in it, stdout, and what came out of it once it is closed."""
    r, w = os.pipe()
    r2, w2 = os.pipe()
    got: list[bytes] = []
    open_ends = [r, w2]

    def result() -> bytes:
        os.close(open_ends.pop())
        reader.__exit__(None, None, None)
        return got[0]

    with beside(lambda: quietly(w, data)):
        reader = beside(lambda: got.append(all_of(r2)))
        reader.__enter__()
        try:
            yield r, w2, result
        finally:
            while open_ends:
                os.close(open_ends.pop())
    os.close(r2)


def quietly(fd: int, data: bytes) -> None:
    try:
        feed(fd, data)
    except BrokenPipeError:
        pass


@pytest.mark.parametrize("kind", KINDS)
def test_we_end_first(engine: str, kind: str, tmp_path: Path) -> None:
    """The server answers when it has all, so our half-close must reach it, and its answer us."""
    heard: list[bytes] = []

    def behave(sock: Any) -> None:
        heard.append(to_the_end(sock))
        sock.sendall(BACK)
        finish(sock)

    with served(kind, tmp_path, behave) as place, ends(THERE) as (stdin, stdout, result):
        assert talk(*place.where, stdin=stdin, stdout=stdout, engine=engine, **place.how) == 0
        assert result() == BACK
    assert heard == [THERE]


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_ends_first_and_listens(engine: str, kind: str, tmp_path: Path) -> None:
    heard: list[bytes] = []

    def behave(sock: Any) -> None:
        sock.sendall(BACK)
        half_close(sock)
        heard.append(to_the_end(sock))

    (tmp_path / "in").write_bytes(THERE)
    with served(kind, tmp_path, behave) as place, (tmp_path / "in").open("rb") as file, ends(b"") as pipes:
        _, stdout, result = pipes
        assert talk(*place.where, stdin=file.fileno(), stdout=stdout, engine=engine, **place.how) == 0
        assert result() == BACK
    assert heard == [THERE]


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_ends_first_and_our_input_trickles(engine: str, kind: str, tmp_path: Path) -> None:
    """UNIX and TLS tell that it listens; with TCP nobody knows, so it is sent."""
    heard: list[bytes] = []
    r, w = os.pipe()

    def behave(sock: Any) -> None:
        half_close(sock)
        heard.append(sock.recv(10))
        os.write(w, b"late")
        os.close(w)
        heard.append(to_the_end(sock))

    os.write(w, b"early")
    with served(kind, tmp_path, behave) as place, ends(b"") as (_, stdout, result):
        assert talk(*place.where, stdin=r, stdout=stdout, engine=engine, **place.how) == 0
        assert result() == b""
    os.close(r)
    assert heard == [b"early", b"late"]


@pytest.mark.parametrize("kind", ["unix", "tls"])
def test_the_server_ends_then_goes_and_we_say_nothing(engine: str, kind: str, tmp_path: Path) -> None:
    def behave(sock: Any) -> None:
        sock.sendall(b"bye")
        half_close(sock)

    r, w = os.pipe()
    with served(kind, tmp_path, behave) as place, ends(b"") as (_, stdout, result):
        assert talk(*place.where, stdin=r, stdout=stdout, engine=engine, **place.how) == 0
        assert result() == b"bye"
    os.close(r)
    os.close(w)


@pytest.mark.parametrize("kind", KINDS)
def test_both_at_once(engine: str, kind: str, tmp_path: Path) -> None:
    """What we say comes back while we say it: an echo of more than all buffers hold."""

    def behave(sock: Any) -> None:
        while data := sock.recv(65536):
            sock.sendall(data)
        finish(sock)

    with served(kind, tmp_path, behave) as place, ends(THERE) as (stdin, stdout, result):
        assert talk(*place.where, stdin=stdin, stdout=stdout, engine=engine, **place.how) == 0
        assert result() == THERE


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_leaves_while_input_is_left(kind: str, tmp_path: Path) -> None:
    def behave(sock: Any) -> None:
        sock.sendall(b"enough")
        half_close(sock)

    with served(kind, tmp_path, behave) as place, open("/dev/zero", "rb") as endless:
        done = knote("connect", *place.words, stdin=endless)
    assert done.returncode == 1
    assert done.stdout in (b"enough", b"")  # a reset may overtake it
    assert done.stderr.startswith(b"knote connect: ")
    assert done.stderr.count(b"\n") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_breaks_off(kind: str, tmp_path: Path) -> None:
    """TCP: a reset.  UNIX: closed with our bytes unread, which is one.  TLS: closed without a word."""

    def behave(sock: Any) -> None:
        sock.sendall(b"half an ans")
        if kind == "tls":
            to_the_end(sock)  # What stays unread would make a reset of it.
        elif kind == "tcp":
            sock.recv(3)
            reset(sock)
        else:
            sock.recv(1)

    with served(kind, tmp_path, behave) as place:
        done = knote("connect", *place.words, input=b"ask")
    assert done.returncode == 1
    said = {"tls": b"close_notify", "tcp": b"Connection reset by peer", "unix": b"Connection reset by peer"}
    assert said[kind] in done.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_ends_and_we_linger(kind: str, tmp_path: Path) -> None:
    heard: list[bytes] = []

    def behave(sock: Any) -> None:
        sock.sendall(b"hello")
        heard.append(to_the_end(sock))
        if isinstance(sock, Tls):
            sock.hold()

    with served(kind, tmp_path, behave) as place:
        done = knote("connect", "-q", "200ms", *place.words, input=b"x" * 100)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"hello", b"")
    assert heard[0] == b"x" * 100


@pytest.mark.parametrize("kind", KINDS)
def test_the_sending_side_kept_open(kind: str, tmp_path: Path) -> None:
    def behave(sock: Any) -> None:
        assert sock.recv(100) == b"ask"
        sock.settimeout(0.05)
        with pytest.raises(TimeoutError):  # no end
            sock.recv(1)
        sock.settimeout(SOON)
        sock.sendall(b"answer")
        half_close(sock)
        assert sock.recv(1) == b""

    with served(kind, tmp_path, behave) as place:
        done = knote("connect", "--keep-open", *place.words, input=b"ask")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"answer", b"")


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_comes_for_too_long(kind: str, tmp_path: Path) -> None:
    def behave(sock: Any) -> None:
        if isinstance(sock, Tls):
            sock.hold()  # the connection is cut off, and TLS may not pretend that it was not
        else:
            to_the_end(sock)

    with served(kind, tmp_path, behave) as place, ends(b"") as (_, stdout, result):
        r, w = os.pipe()
        with pytest.raises(OSError, match=r"nothing came or went for 0\.1 s; --idle") as caught:
            talk(*place.where, stdin=r, stdout=stdout, manners=Manners(idle=0.1), **place.how)
        os.close(r)
        os.close(w)
        assert caught.value.errno == errno.ETIMEDOUT
        assert result() == b""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 65537])
def test_any_bytes(kind: str, size: int, tmp_path: Path) -> None:
    """All 256 of them, from a file, through what the kernel moves and what TLS does."""
    data = bytes(range(256)) * 512
    data = data[:size]

    def behave(sock: Any) -> None:
        sock.sendall(to_the_end(sock)[::-1])
        finish(sock)

    (tmp_path / "in").write_bytes(data)
    with served(kind, tmp_path, behave) as place, (tmp_path / "in").open("rb") as source:
        done = knote("connect", *place.words, stdin=source)
    assert (done.returncode, done.stdout, done.stderr) == (0, data[::-1], b"")


@pytest.mark.parametrize("kind", KINDS)
def test_the_server_ends_and_a_person_sits_at_a_terminal(kind: str, tmp_path: Path) -> None:
    """UNIX and TLS tell that it listens; over TCP nobody is kept at a keyboard that may lead nowhere."""
    heard: list[bytes] = []

    def behave(sock: Any) -> None:
        sock.sendall(b"noon\n")
        half_close(sock)
        heard.append(to_the_end(sock))

    master, slave = os.openpty()
    with (
        served(kind, tmp_path, behave) as place,
        started("connect", *place.words, stdin=slave, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process,
    ):
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read() == b"noon\n"
        if kind != "tcp":
            os.write(master, b"typed\n\x04")
        assert (ended(process), process.stderr.read()) == (0, b"")
    os.close(master)
    os.close(slave)
    assert heard == [b"" if kind == "tcp" else b"typed\n"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("full", [True, False])
def test_standard_output_takes_no_more(kind: str, *, full: bool, tmp_path: Path) -> None:
    r, w = os.pipe()

    def behave(sock: Any) -> None:
        os.close(r)
        # It may have noticed before the answer comes, or have gone without reading it.
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            sock.sendall(b"answer")
            to_the_end(sock)

    with served(kind, tmp_path, behave) as place, open("/dev/full", "wb") as disk:
        done = knote("connect", *place.words, stdout=disk if full else w)
    os.close(w)
    said = b"knote connect: standard output (/dev/full): No space left on device\n"
    assert (done.returncode, done.stderr) == ((1, said) if full else (-signal.SIGPIPE, b""))


@pytest.mark.parametrize("kind", KINDS)
def test_ctrl_c(kind: str, tmp_path: Path) -> None:
    def behave(sock: Any) -> None:
        sock.sendall(b"hello")
        sock.hold() if isinstance(sock, Tls) else to_the_end(sock)

    pipe = subprocess.PIPE
    with served(kind, tmp_path, behave) as place, started(
        "connect", *place.words, stdin=pipe, stdout=pipe, stderr=pipe
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.read(5) == b"hello"
        process.send_signal(signal.SIGINT)
        assert (ended(process), process.stdout.read(), process.stderr.read()) == (-signal.SIGINT, b"", b"")


@pytest.mark.parametrize("kind", KINDS)
def test_standard_input_is_closed(kind: str, tmp_path: Path) -> None:
    def behave(sock: Any) -> None:
        sock.sendall(to_the_end(sock) + b"nothing came")
        finish(sock)

    with served(kind, tmp_path, behave) as place:
        words = ["bash", "-c", '"$@" <&-', "", *command("connect", *place.words)]
        done = subprocess.run(words, capture_output=True, check=False, timeout=SOON)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"nothing came", b"")


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_is_there(kind: str, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET) as door:
        door.bind(str(tmp_path / "door") if kind == "unix" else ("127.0.0.1", 0))
        where = str(tmp_path / "door") if kind == "unix" else f"127.0.0.1:{door.getsockname()[1]}"
        words = ["--tls", where] if kind == "tls" else [where]
        done = knote("connect", *words)  # it has the address, and does not listen
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == f"knote connect: {where}: Connection refused\n".encode()
