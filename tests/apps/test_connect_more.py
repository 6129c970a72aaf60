"""knote connect: --listen, --exec, TLS and whom it trusts, happy eyeballs, timeouts, raw terminals, --progress."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import subprocess
import termios
from pathlib import Path
from typing import Any

import pytest

from knote import kqueue
from knote.apps import address, dial
from knote.apps.client import ConnectError, talk
from tests.apps.programs import ended, knote, settled, started, to_the_end
from tests.apps.test_cat import content
from tests.apps.test_connect_ends import KINDS, PEM, client_context, finish, served
from tests.support.plumbing import listener
from tests.support.waiting import wait_until


def heard_at(process: subprocess.Popen[bytes]) -> str:
    """The address that a listening one has announced."""
    assert process.stderr is not None
    said = process.stderr.readline().decode()
    match = re.fullmatch(r"knote connect: listening on (\S+)\n", said)
    assert match, said
    return match[1]


def words_for(kind: str, tmp_path: Path) -> tuple[list[str], list[str]]:
    """To listen, and to connect with."""
    if kind == "unix":
        return [str(tmp_path / "door")], []
    tls = kind == "tls"
    return ["127.0.0.1:0", *(["--tls", "--cert", str(PEM)] if tls else [])], ["--tls", "--ca", str(PEM)] * tls


@pytest.mark.parametrize("kind", KINDS)
def test_one_listens_and_one_connects(kind: str, tmp_path: Path) -> None:
    there, back = content(400_003), content(300_001)
    (tmp_path / "there").write_bytes(there)
    (tmp_path / "back").write_bytes(back)
    listens, connects = words_for(kind, tmp_path)
    with (tmp_path / "back").open("rb") as stdin, (tmp_path / "got").open("wb") as stdout, started(
        "connect", "--listen", *listens, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE
    ) as server:
        where = heard_at(server)
        with (tmp_path / "there").open("rb") as source:
            done = knote("connect", *connects, where, stdin=source)
        assert (done.returncode, done.stderr) == (0, b"")
        assert ended(server) == 0
    assert done.stdout == back
    assert (tmp_path / "got").read_bytes() == there
    assert not (tmp_path / "door").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_command_in_the_place_of_the_terminal(kind: str, tmp_path: Path) -> None:
    listens, connects = words_for(kind, tmp_path)
    with started(
        "connect", "--listen", *listens, "--exec", "tr a-z A-Z; exit 7", stderr=subprocess.PIPE
    ) as server:
        done = knote("connect", *connects, heard_at(server), input=b"hello\n" * 50_000)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"HELLO\n" * 50_000, b"")
        assert ended(server) == 7


def test_a_command_that_reads_nothing(tmp_path: Path) -> None:
    with started(
        "connect", "--listen", "127.0.0.1:0", "--exec", "exec <&-; echo no", stderr=subprocess.PIPE
    ) as server:
        done = knote("connect", heard_at(server), input=b"x" * 1_000_000)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"no\n", b"")
        assert ended(server) == 0


def test_a_command_that_connects(tmp_path: Path) -> None:
    heard: list[bytes] = []
    with served("tcp", tmp_path, lambda sock: heard.append(to_the_end(sock))) as place:
        done = knote("connect", *place.words, "--exec", "echo from the program; kill -9 $$")
    assert (done.returncode, heard) == (128 + 9, [b"from the program\n"])


def test_nobody_comes(tmp_path: Path) -> None:
    done = knote("connect", "--listen", "127.0.0.1:0", "--timeout", "50ms")
    assert done.returncode == 1
    assert b"nobody came within 0.05 s; --timeout sets how long is waited" in done.stderr


def test_an_address_that_is_taken(tmp_path: Path) -> None:
    with listener() as door:
        done = knote("connect", "--listen", f"127.0.0.1:{door.getsockname()[1]}")
    assert done.returncode == 1
    assert b"Address already in use; port 0 is any free one" in done.stderr
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(str(tmp_path / "a door"))
    done = knote("connect", "--listen", "./a door", cwd=tmp_path)
    assert b"Address already in use; if nobody listens there any more: rm './a door'\n" in done.stderr
    assert (tmp_path / "a door").exists()
    (tmp_path / "file").touch()
    done = knote("connect", "--listen", "./file", cwd=tmp_path)  # which may be somebody's work
    assert b"./file: Address already in use; what is there is no socket\n" in done.stderr
    name = f"@knote-taken-{os.getpid()}"
    with socket.socket(socket.AF_UNIX) as door:
        door.bind("\0" + name[1:])
        done = knote("connect", "--listen", name)
    assert f"{name}: Address already in use; somebody listens there\n" in done.stderr.decode()


def test_an_abstract_name(tmp_path: Path) -> None:
    name = f"@knote-{os.getpid()}"
    with started("connect", "--listen", name, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as server:
        assert heard_at(server) == name
        assert knote("connect", name, input=b"x").returncode == 0
        assert ended(server) == 0
        assert server.stdout is not None
        assert server.stdout.read() == b"x"


def test_a_path_that_does_not_exist(tmp_path: Path) -> None:
    done = knote("connect", f"unix:{tmp_path}/nowhere")
    assert done.returncode == 1
    assert done.stderr.decode() == f"knote connect: {tmp_path}/nowhere: No such file or directory\n"


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    def behave(sock: Any) -> None:
        raise AssertionError("no connection")

    with pytest.raises(ssl.SSLError), served("tls", tmp_path, behave) as place:  # the server is told
        done = knote("connect", "--tls", *place.words[-2:])
        assert done.returncode == 1
        assert b"not who it should be: self" in done.stderr
        assert b"--ca FILE trusts another authority, --insecure anybody" in done.stderr


def test_a_certificate_that_names_another(tmp_path: Path) -> None:
    with pytest.raises(ssl.SSLError), served("tls", tmp_path, to_the_end) as place:
        done = knote("connect", *place.words, "--servername", "example.org")
        assert done.returncode == 1
        assert b"not who it should be: Hostname mismatch" in done.stderr


def test_anybody_will_do(tmp_path: Path) -> None:
    with served("tls", tmp_path, lambda sock: sock.sendall(to_the_end(sock)) or finish(sock)) as place:
        done = knote("connect", "--tls", "--insecure", *place.words[-2:], input=b"x")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"x", b"")


def test_a_server_without_tls(tmp_path: Path) -> None:
    with served("tcp", tmp_path, lambda sock: sock.sendall(b"220 hello\r\n") or to_the_end(sock)) as place:
        done = knote("connect", "--tls", *place.words)
    assert done.returncode == 1
    assert b": no TLS: " in done.stderr


def test_a_handshake_that_never_comes(tmp_path: Path) -> None:
    late = pytest.raises(ConnectError, match=r"no TLS handshake within 0\.1 s; --timeout")
    with served("tcp", tmp_path, to_the_end) as place, late:
        talk(*place.where, stdin=None, tls=client_context(), timeout=0.1)


def test_tls_wants_both_sides_to_show_themselves(tmp_path: Path) -> None:
    words = ["--tls", "--cert", str(PEM), "--ca", str(PEM)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with started("connect", "--listen", "127.0.0.1:0", *words, **pipes) as it:
        done = knote("connect", *words, heard_at(it), input=b"it is me")
        assert (done.returncode, done.stderr) == (0, b"")
        assert ended(it) == 0
        assert it.stdout is not None
        assert it.stdout.read() == b"it is me"


def answers(*places: Any) -> Any:
    return lambda *args, **how: [(socket.AF_INET, socket.SOCK_STREAM, 6, "", place) for place in places]


def test_families_take_turns() -> None:
    six, four = socket.AF_INET6, socket.AF_INET
    found = [(six, 1), (six, 2), (six, 3), (four, 1), (four, 2)]
    assert dial.take_turns(found) == [(six, 1), (four, 1), (six, 2), (four, 2), (six, 3)]


def test_an_address_that_says_nothing_is_passed_by(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 8305: the second one is tried beside the first, which goes on, and is dropped."""
    with listener() as door, listener() as silent:
        began: list[Any] = []
        before = dial.begin

        def begin(sock: socket.socket, where: Any) -> int:
            began.append(where)
            if where == silent.getsockname():
                return 115  # EINPROGRESS, for ever: it was never asked
            return before(sock, where)

        monkeypatch.setattr(dial, "begin", begin)
        monkeypatch.setattr(dial, "NEXT", 0.02)
        monkeypatch.setattr(socket, "getaddrinfo", answers(silent.getsockname(), door.getsockname()))
        # Not connected, a TCP socket is writable and hung up at once; a listening one is neither.
        monkeypatch.setattr(dial.socket, "socket", _never(silent.getsockname()))
        with kqueue(engine=engine) as queue:
            with dial.dial(queue, "two", 1) as sock:
                assert sock.getpeername() == door.getsockname()
            assert queue.knotes() == []
        assert began == [silent.getsockname(), door.getsockname()]


def _never(_where: Any) -> Any:
    """The first socket is one on which nothing happens."""
    made: list[socket.socket] = []
    before = socket.socket

    def make(*words: Any, **how: Any) -> socket.socket:
        sock = before(*words, **how)
        if not made:
            sock.bind(("127.0.0.1", 0))
            sock.listen(1)
        made.append(sock)
        return sock

    return make


def test_no_answer_in_time(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dial, "begin", lambda sock, where: 115)
    monkeypatch.setattr(socket, "getaddrinfo", answers(("192.0.2.1", 9)))
    monkeypatch.setattr(dial.socket, "socket", _never(None))
    with kqueue(engine=engine) as queue:
        with pytest.raises(ConnectError, match=r"two:9: no connection within 0\.05 s; --timeout"):
            dial.dial(queue, "two", 9, timeout=0.05)
        assert queue.knotes() == []


def test_a_backlog_that_is_full(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as door, socket.socket(socket.AF_UNIX) as first:
        door.bind(str(tmp_path / "door"))
        door.listen(0)
        first.connect(str(tmp_path / "door"))
        with pytest.raises(ConnectError, match=r"no connection within 0\.05 s"):
            dial.dial_unix(str(tmp_path / "door"), timeout=0.05)


def test_every_key_goes_and_the_terminal_is_as_before(tmp_path: Path) -> None:
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)

    def behave(sock: socket.socket) -> None:
        keys = b""
        while len(keys) < 4:
            keys += sock.recv(10)
        assert keys == b"a\x03\x04b"  # no line, no signal, no end of file
        sock.sendall(b"seen")
        assert to_the_end(sock) == b"c"

    all_three = {"stdin": slave, "stdout": slave, "stderr": slave}
    with served("tcp", tmp_path, behave) as place, started("connect", "--raw", *place.words, **all_three) as it:
        wait_until(lambda: not termios.tcgetattr(slave)[3] & termios.ICANON)
        os.write(master, b"a\x03\x04b")
        said = b""
        while b"seen" not in said:
            said += os.read(master, 100)
        assert said == b"seen"
        os.write(master, b"c\x1dnot this")
        assert ended(it) == 0
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_a_raw_terminal_is_put_in_order_by_sigterm(tmp_path: Path) -> None:
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    terminal = {"stdin": slave, "stdout": slave, "stderr": slave}
    with served("tcp", tmp_path, to_the_end) as place, started("connect", "--raw", *place.words, **terminal) as it:
        wait_until(lambda: not termios.tcgetattr(slave)[3] & termios.ICANON)
        settled(it)
        it.send_signal(signal.SIGTERM)
        assert ended(it) == 128 + signal.SIGTERM
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_progress(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"x" * 1_000_000)
    with served("tcp", tmp_path, to_the_end) as place, (tmp_path / "in").open("rb") as source:
        done = knote("connect", "--progress", *place.words, stdin=source)
    assert done.returncode == 0
    assert re.fullmatch(r"sent: 976.56 KiB of 976.56 KiB, 100 %, .*\n", done.stderr.decode())


@pytest.mark.parametrize(
    ("words", "said"),
    [(["./door", "70"], "has no port"), (["unix:"], "unix: has no path"), (["h", "1", "--ca", "x"], "add --tls"),
     (["--tls", "--listen", "h:1"], "--cert FILE"), (["--tls", "h:1", "--key", "k"], "--key needs --cert"),
     (["--tls", "./door"], "--servername NAME"), (["h:1", "--exec", "x", "--raw"], "leave --raw"),
     (["--tls", "h:1", "--ca", "/dev/null"], "--ca /dev/null: "), (["h:1", "--idle", "soon"], "'soon' is no time"),
     (["--tls", "h:1", "--ca", "/no/where"], "--ca /no/where: No such file or directory"),
     (["h:1", "--raw", "--line"], "not allowed with")],
)  # fmt: skip
def test_options_that_do_not_go_together(words: list[str], said: str, capfd: pytest.CaptureFixture[str]) -> None:
    from knote.cli import main

    assert main(["connect", *words]) == 2
    assert said in capfd.readouterr().err


@pytest.mark.parametrize(
    ("word", "path"),
    [("./s", "./s"), ("/s", "/s"), ("unix:s", "s"), ("unix:@s", "@s"), ("@s", "@s"), ("h:1", None), ("::1", None)],
)
def test_paths(word: str, path: str | None) -> None:
    assert address.unix_path(word) == path


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5.0), ("0.5", 0.5), ("300ms", 0.3), ("2m", 120.0), ("1h", 3600.0), ("5s", 5.0), ("-1", None),
     ("s", None), ("nan", None)],
)  # fmt: skip
def test_times(text: str, value: float | None) -> None:
    import argparse

    from knote.cli.arguments import seconds

    if value is None:
        with pytest.raises(argparse.ArgumentTypeError, match="no time"):
            seconds(text)
    else:
        assert seconds(text) == pytest.approx(value)
