"""What do two workers cost, and are they used evenly?

`knote serve --workers 2` beside `--workers 1`, all on one core: the CPU time of all workers per request.  Each
of two has half of the connections, so fewer of them are ready together, and what a turn costs is shared out
among fewer requests.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from bench import machine
from bench.cases.serve import SECONDS, Server, started
from bench.model import Case, Figure, Ratio, Row, Settings, Unavailable

LOADS = ((64, 64), (1024, 64))
"""Connections, bytes each way."""
TARGET = 1.1
CONNECTIONS = 1024


class Workers(Server):
    """A master whose children serve."""

    def pids(self) -> list[int]:
        """As Server.pids()."""
        return children(self._server)


def children(master: subprocess.Popen[str]) -> list[int]:
    """Its processes."""
    words = Path(f"/proc/{master.pid}/task/{master.pid}/children").read_text().split()
    return [int(word) for word in words]


def spread(master: subprocess.Popen[str], port: int, count: int) -> float:
    """The larger worker's share of so many connections, divided by an even one."""
    pids = children(master)
    before = _settled(pids)
    with contextlib.ExitStack() as stack:
        socks = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30)) for _ in range(count)
        ]
        for sock in socks:
            sock.sendall(b"x")
        for sock in socks:
            sock.recv(1)  # so it is accepted
        shares = [_descriptors(pid) - old for pid, old in zip(pids, before, strict=True)]
    if sum(shares) < count:
        raise RuntimeError(f"{count} connections, of which workers have {shares}")
    return max(shares) * len(shares) / count


def _settled(pids: list[int]) -> list[int]:
    """Descriptors of each, when the connections of before have gone."""
    last, same = [_descriptors(pid) for pid in pids], 0
    while same < 10:
        time.sleep(0.02)
        now = [_descriptors(pid) for pid in pids]
        last, same = now, same + 1 if now == last else 0
    return last


def _end(master: subprocess.Popen[str]) -> None:
    """By its own way, and not by a kill, of which its workers would have to tell."""
    master.send_signal(signal.SIGINT)
    master.wait()


def _descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Both are up for the whole case."""
    knote = Path(sys.executable).with_name("knote")
    if not knote.exists():
        raise Unavailable("the command `knote` is not installed beside this Python")
    core = machine.cores()[0]
    machine.raise_descriptor_limit()
    seconds = max(SECONDS * settings.scale, 0.02)
    with contextlib.ExitStack() as stack:
        one, two = (
            stack.enter_context(started([str(knote), "serve", "--workers", number])) for number in ("1", "2")
        )
        for master, _port in (one, two):
            stack.callback(_end, master)
        made: list[Row] = []
        for load in LOADS:
            connections, size = load
            name = f"upper, {connections} × {size} B"
            ours = Workers("two workers", *two, core, load)
            peer = Workers("one worker", *one, core, load)
            made.append(Ratio(f"two workers: {name}", ours, peer, TARGET, "request", seconds=seconds))
        count = settings.sized(CONNECTIONS, least=64)
        made.append(
            Figure(
                f"two workers: the larger share of {count} connections",
                lambda: spread(*two, count),
                # Of 20 connections anything can be; the target is for as many as it names.
                TARGET if count == CONNECTIONS else None,
                "× even",
                rounds=15,
            )
        )
        yield made


CASE = Case("workers", "What do two workers cost, and are they used evenly?", rows)
