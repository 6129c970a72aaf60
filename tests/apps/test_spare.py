"""Memory of a rush goes back to the system when it is over, and what is left works as before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from knote.apps import spare
from tests.apps.programs import Serving, ended, exactly
from tests.support.waiting import wait_until

DRIVERS = True
MIB = 1 << 20
CLIENTS = 300
SIZE = 100_000
"""Of a message: a dozen of a ring's buffers."""
HURRIED = "import sys; from knote.apps import spare; from knote.cli import main; spare.MS = 10; sys.exit(main())"
"""`knote` that looks a hundred times a second whether a rush is over."""


class Generous:
    """Gives six megabytes, in pieces that the C allocator has, to whoever comes."""

    def connected(self, connection: Any) -> None:
        """Give."""
        for _ in range(800):
            connection.write(bytes(8000))

    def data(self, data: bytes) -> None:
        """Nothing."""


@contextmanager
def hurried(*arguments: str) -> Iterator[Serving]:
    """`knote serve` with these arguments, and no patience."""
    process = subprocess.Popen(
        [sys.executable, "-c", HURRIED, "serve", *arguments],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Serving(process)
        process.terminate()
        assert ended(process) == 0
    finally:
        process.kill()
        process.communicate()


def is_stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def peak(server: Serving) -> int:
    """The most that it ever had, resident."""
    for line in Path(f"/proc/{server.process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmHWM")


def rush(server: Serving) -> None:
    """Many clients while the server stands still, so that all of it is there at once."""
    pid = server.process.pid
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: is_stopped(pid))
    socks = [server.client() for _ in range(CLIENTS)]
    for sock in socks:
        sock.sendall(b"a" * SIZE)
    os.kill(pid, signal.SIGCONT)
    for sock in socks:
        assert exactly(sock, SIZE) == b"A" * SIZE
    for sock in socks:
        sock.close()


def test_after_a_rush_memory_goes_back(engine: str) -> None:
    with hurried("--engine", engine) as server:
        with server.client() as sock:
            sock.sendall(b"a")
            assert exactly(sock, 1) == b"A"
        before = server.rss()
        for _ in range(3):
            rush(server)
            wait_until(lambda: server.rss() < before + 2 * MIB, what="memory is back")
        # What starting left may have gone back only after `before` was read.
        low = min(before, server.rss())
        assert engine != "ring" or peak(server) > low + MIB // 2, "the pool has not grown"
        with server.client() as sock:
            for number in range(300):  # more than there are buffers now
                text = b"message %d" % number
                sock.sendall(text)
                assert exactly(sock, len(text)) == text.upper()


def test_what_clients_were_owed_goes_back(engine: str) -> None:
    with hurried("--engine", engine, "--service", "tests.apps.test_spare:Generous") as server:
        with server.client() as sock:  # by then it runs, and has what it opens when it begins to
            assert exactly(sock, 800 * 8000) == bytes(800 * 8000)
        before = server.rss()
        socks = [server.client() for _ in range(spare.FEW)]
        wait_until(lambda: server.rss() > before + 12 * MIB, what="it owes much")
        for sock in socks:
            assert exactly(sock, 800 * 8000) == bytes(800 * 8000)
            sock.close()
        wait_until(lambda: server.rss() < before + 4 * MIB, what="memory is back")
