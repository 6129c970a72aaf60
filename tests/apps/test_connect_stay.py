"""knote connect, when the server has said all: over TCP nobody knows whether it still listens."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from knote.apps import line
from knote.apps.client import talk
from tests.apps.programs import ended, knote, started, to_the_end
from tests.apps.test_connect_ends import KINDS, half_close, served
from tests.apps.test_connect_more import heard_at
from tests.support import namespaces
from tests.support.links import Links

LEFT = b"the server closed the connection before all of the input was sent"


def test_a_producer_that_is_slower_than_the_server() -> None:
    """What is read there ends before what is read here does; nothing of it is lost."""
    pipe = subprocess.PIPE
    with started(
        "connect", "--listen", "127.0.0.1:0", stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, bufsize=0
    ) as there, started("connect", heard_at(there), stdin=pipe, stdout=pipe, bufsize=0) as here:
        assert here.stdin is not None and here.stdout is not None and there.stdout is not None
        assert here.stdout.read() == b""  # the other side has ended, and who reads from us is told
        for piece in (b"one", b"two", b"three"):
            here.stdin.write(piece)
            assert there.stdout.read(len(piece)) == piece
        here.stdin.close()
        assert (ended(here), ended(there)) == (0, 0)


@pytest.mark.parametrize("more", [False, True])
def test_a_server_that_has_gone(*, more: bool, tmp_path: Path) -> None:
    """It says so when it is sent something: what was sent is lost.  Ended with our input or not, that is told."""
    with (
        served("tcp", tmp_path, lambda sock: sock.sendall(b"bye")) as place,
        started(
            "connect", *place.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process,
    ):
        assert process.stdin is not None and process.stdout is not None and process.stderr is not None
        assert process.stdout.read() == b"bye"
        process.stdin.write(b"late")
        if more:
            process.stdin.flush()
        else:
            process.stdin.close()
        assert ended(process) == 1
        assert LEFT in process.stderr.read()


def test_a_server_that_hears_the_last_words_is_no_error(tmp_path: Path) -> None:
    r, w = os.pipe()
    heard: list[bytes] = []

    def behave(sock: Any) -> None:
        half_close(sock)
        os.write(w, b"late")
        os.close(w)
        heard.append(to_the_end(sock))

    with served("tcp", tmp_path, behave) as place, open(os.devnull, "wb") as null:
        assert talk(*place.where, stdin=r, stdout=null.fileno()) == 0
    os.close(r)
    assert heard == [b"late"]


@pytest.mark.parametrize("kind", KINDS)
def test_leaving_with_the_server(kind: str, tmp_path: Path) -> None:
    r, w = os.pipe()

    def behave(sock: Any) -> None:
        sock.sendall(b"bye")
        half_close(sock)
        to_the_end(sock)

    with served(kind, tmp_path, behave) as place:
        done = knote("connect", "--leave", *place.words, stdin=r)
    os.close(r)
    os.close(w)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"bye", b"")


@pytest.mark.parametrize("words", [["--whole"], ["--exec", "cat"]])
def test_leaving_goes_with_nothing_that_stays(words: list[str]) -> None:
    done = knote("connect", "--leave", *words, "127.0.0.1", "1")
    assert done.returncode == 2
    assert b"--leave is the opposite of --whole" in done.stderr


@pytest.mark.needs("network namespace")
@namespaces.in_new(namespaces.NET)
def test_a_server_that_has_gone_is_asked_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A pipe that is held open, and nothing is sent: it ends when the server's kernel has forgotten it."""
    links = Links()
    links.up("lo")
    Path("/proc/sys/net/ipv4/tcp_fin_timeout").write_text("1")
    monkeypatch.setattr(line, "PROBE", 1)
    r, w = os.pipe()
    with served("tcp", tmp_path, lambda sock: sock.sendall(b"bye")) as place, open(os.devnull, "wb") as null:
        assert talk(*place.where, stdin=r, stdout=null.fileno()) == 0
    os.close(r)
    os.close(w)
