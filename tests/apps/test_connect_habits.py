"""knote connect: what people give it that is no address, how they leave, what is left behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.apps.programs import ended, exactly, knote, settled, started
from tests.apps.test_connect_ends import PEM
from tests.support.waiting import SOON, wait_until

OTHER = PEM.parent / "second.pem"


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["http://example.org/"], "'http://example.org/' is a URL: write HOST:PORT, such as example.org:80"),
        (["127.0.0.1", ""], "127.0.0.1 '': a port is wanted"),
        (["--listen", "127.0.0.1", ""], "a port is wanted"),
        (["", ""], "a port is wanted"),
    ],
)
def test_no_address(words: list[str], text: str) -> None:
    done = knote("connect", *words)
    assert (done.returncode, text in done.stderr.decode()) == (2, True)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--cert", str(PEM), "--key", "/no/key"], "--key /no/key: No such file or directory"),
        (["--cert", "/no/cert", "--key", str(PEM)], "--cert /no/cert: No such file or directory"),
        (["--ca", "/no/ca"], "--ca /no/ca: No such file or directory"),
        (["--ca", "/dev/null"], "--ca /dev/null: the file is empty"),
        (["--ca", __file__], f"--ca {__file__}: there is no '-----BEGIN ... CERTIFICATE-----' in it"),
        (["--cert", __file__], f"--cert {__file__}: there is no '-----BEGIN ... CERTIFICATE-----' in it"),
        (["--cert", str(PEM), "--key", __file__], f"--key {__file__}: there is no '-----BEGIN ... PRIVATE KEY---"),
        (["--cert", str(PEM), "--key", str(OTHER)], f"--cert {PEM} and {OTHER}: the key is not the certificate's"),
    ],
)
def test_certificates_and_keys_that_are_none(words: list[str], text: str) -> None:
    done = knote("connect", "--tls", *words, "127.0.0.1:1")
    assert (done.returncode, text in done.stderr.decode()) == (2, True), done.stderr


@contextmanager
def raw_terminal() -> Iterator[tuple[int, subprocess.Popen[bytes], socket.socket]]:
    """A terminal's master, `knote connect --raw` on its slave, the other side's socket."""
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    with socket.create_server(("127.0.0.1", 0)) as door:
        place = ["127.0.0.1", str(door.getsockname()[1])]
        terminal = {"stdin": slave, "stdout": slave, "stderr": slave}
        with started("connect", "--raw", *place, **terminal) as process:
            sock, _ = door.accept()
            with sock:
                sock.settimeout(SOON)
                wait_until(lambda: not termios.tcgetattr(slave)[3] & termios.ICANON)
                yield master, process, sock
    assert termios.tcgetattr(slave) == before
    os.close(master)
    os.close(slave)


def test_who_leaves_a_raw_terminal_does_not_wait_for_the_server() -> None:
    with raw_terminal() as (master, process, sock):
        os.write(master, b"bye\x1d")
        assert exactly(sock, 3) == b"bye"
        assert ended(process) == 0  # though the other side has not said its last word, and may never


def test_a_raw_terminal_is_put_in_order_by_sigquit() -> None:
    with raw_terminal() as (_, process, _sock):
        settled(process)
        process.send_signal(signal.SIGQUIT)
        assert ended(process) == 128 + signal.SIGQUIT


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_path_that_nobody_came_to_is_removed(number: signal.Signals, tmp_path: Path) -> None:
    door = tmp_path / "door"
    with started("connect", "--listen", str(door), stderr=subprocess.DEVNULL) as process:
        wait_until(door.exists)
        settled(process)
        process.send_signal(number)
        assert ended(process) == (-number if number == signal.SIGINT else 128 + number)
    assert not door.exists()


@pytest.mark.parametrize("words", [["connect", "--listen", "./door"], ["wait", "--timer", "1h"]])
def test_what_nohup_asks_for(words: list[str], tmp_path: Path) -> None:
    # Ignored when it began, so it stays ignored: the SIGTERM that comes after it is what ends the program.
    pipe, before = subprocess.PIPE, signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with started(*words, cwd=tmp_path, stdin=pipe, stdout=pipe, stderr=pipe) as process:
            if words[0] == "connect":
                wait_until((tmp_path / "door").exists)
            settled(process)
            process.send_signal(signal.SIGHUP)
            settled(process)
            process.send_signal(signal.SIGTERM)
            assert ended(process) == 128 + signal.SIGTERM
    finally:
        signal.signal(signal.SIGHUP, before)
