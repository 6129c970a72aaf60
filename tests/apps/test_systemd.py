"""knote serve under systemd, or somebody who does the same: sockets that are handed over, and what it says."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.apps.crew import LONG, Crew
from tests.apps.programs import command, exactly
from tests.support.waiting import wait_until

HAND_OVER = """
import os, sys
number = int(sys.argv[1])
if number != 3:
    os.dup2(number, 3)
os.set_inheritable(3, True)
os.environ["LISTEN_FDS"] = "1"
os.environ["LISTEN_PID"] = str(os.getpid())
os.execv(sys.argv[2], sys.argv[2:])
"""


@contextmanager
def unit(tmp_path: Path, *words: str, sock: socket.socket | None = None, **env: str) -> Iterator[Crew]:
    """As a service manager starts it."""
    said = tmp_path / "said"
    started = command("serve", *words)
    how: dict[str, Any] = {}
    if sock is not None:
        started = [sys.executable, "-c", HAND_OVER, str(sock.fileno()), *started]
        how["pass_fds"] = [sock.fileno()]
    with said.open("wb") as stderr:
        process = subprocess.Popen(
            started, stdout=subprocess.PIPE, stderr=stderr, stdin=subprocess.DEVNULL, env=os.environ | env, **how
        )
    try:
        yield Crew(process, said)
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


class Manager:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(LONG)

    def hears(self, **fields: str) -> dict[str, str]:
        """The next message that is no watchdog's has these fields; all of it."""
        while True:
            said = dict(line.split("=", 1) for line in self.sock.recv(4096).decode().splitlines())
            if "WATCHDOG" not in said:
                assert fields.items() <= said.items()
                return said


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    made = Manager(tmp_path / "notify")
    yield made
    made.sock.close()


@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_socket_that_is_handed_over(tmp_path: Path, workers: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock, unit(tmp_path, "--workers", workers, sock=sock) as server:
        assert server.port == sock.getsockname()[1]
        for _ in range(10):
            with server.client() as client:
                client.sendall(b"x")
                assert exactly(client, 1) == b"X"
        assert server.terminate() == 0
        # It is the manager's: who comes now waits for the next one.
        with socket.create_connection(sock.getsockname(), timeout=LONG) as client:
            ours, _ = sock.accept()
            ours.close()
        assert server.said() == ""


def test_beside_addresses_of_the_command_line(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock, unit(tmp_path, "127.0.0.1:0", sock=sock) as server:
        assert len(server.lines) == 5
        host, _, port = server.lines[1].strip().rpartition(":")
        for number in (server.port, int(port)):
            with socket.create_connection((host, number), timeout=LONG) as client:
                client.sendall(b"x")
                assert exactly(client, 1) == b"X"
        assert server.terminate() == 0


@pytest.mark.parametrize("workers", ["0", "1"])
def test_what_it_says(tmp_path: Path, manager: Manager, workers: str) -> None:
    with unit(tmp_path, "--workers", workers, NOTIFY_SOCKET=manager.path) as server:
        pid = str(server.process.pid)
        manager.hears(READY="1", MAINPID=pid)
        server.process.send_signal(signal.SIGHUP)
        assert int(manager.hears(RELOADING="1")["MONOTONIC_USEC"]) > 0
        manager.hears(READY="1", MAINPID=pid)
        with server.client() as client:
            client.sendall(b"x")
            assert exactly(client, 1) == b"X"
            server.process.send_signal(signal.SIGTERM)
            manager.hears(STOPPING="1")
        assert server.process.wait(LONG) == 0


@pytest.mark.parametrize("workers", ["0", "1"])
def test_the_watchdog_is_fed(tmp_path: Path, manager: Manager, workers: str) -> None:
    with unit(
        tmp_path, "--workers", workers, NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="40000"
    ) as server:
        fed = 0

        def heard() -> bool:
            nonlocal fed
            fed += b"WATCHDOG=1" in manager.sock.recv(4096)
            return fed >= 3

        wait_until(heard, LONG, "it says three times that it is alive")
        assert server.terminate() == 0


def test_children_hear_nothing_of_it(tmp_path: Path, manager: Manager, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine.py").write_text(
        "import os\ndef env(data):\n    names = 'NOTIFY', 'LISTEN_', 'WATCHDOG'\n"
        "    return repr([name for name in os.environ if name.startswith(names)]).encode()\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=os.pathsep)
    for workers in ("0", "1"):
        with socket.create_server(("127.0.0.1", 0)) as sock, unit(
            tmp_path, "--workers", workers, "--service", "mine:env", sock=sock,
            NOTIFY_SOCKET=manager.path, WATCHDOG_USEC="60000000",
        ) as server:  # fmt: skip
            with server.client() as client:
                client.sendall(b"x")
                assert client.recv(100) == b"[]"
            assert server.terminate() == 0


def test_descriptors_that_nobody_hands_over() -> None:
    """$LISTEN_FDS that an exec has left behind, say."""
    words = 'export LISTEN_FDS=2 LISTEN_PID=$$; exec "$@" 3</dev/null 4<&-'
    started = ["sh", "-c", words, "sh", *command("serve")]
    done = subprocess.run(started, capture_output=True, check=False, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    said = "knote serve: LISTEN_FDS=2 is about descriptors from 3 on, and 4 is not open: unset it and"
    assert done.stderr.startswith(said)
