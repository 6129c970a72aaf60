"""`knote serve` under attack: `python -m tests.soak.attack [--scale 1] [--engine ring|epoll] [--seconds N]`.

One server, one attack after the other, beside each a client that asks and checks every byte.  After each the
server must hold no descriptor more than before.  A line for each, with the memory, and status 1 if one failed.
"""

from __future__ import annotations

import argparse
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

MIB = 1 << 20
ALLOWED = 512
"""Bytes of RSS for an idle connection of a built-in service."""


class Target:
    """The server's process."""

    def __init__(self, engine: str | None, limits: list[str]) -> None:
        command = [sys.executable, "-m", "knote", "serve", "--service", "upper", *limits]
        if engine:
            command += ["--engine", engine]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def dial(self) -> socket.socket:
        """A connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def rss(self) -> int:
        """Resident bytes."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("it has ended")

    def descriptors(self) -> int:
        """Open ones."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def cpu(self) -> float:
        """Seconds."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def reset(sock: socket.socket) -> None:
    """Close with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def exactly(sock: socket.socket, count: int) -> bytes:
    """The next count bytes."""
    got = bytearray()
    while len(got) < count:
        data = sock.recv(count - len(got))
        assert data, f"the end after {len(got)} of {count} bytes"
        got += data
    return bytes(got)


class Asker:
    """Asks all the time, checks every byte, keeps how long each answer took."""

    def __init__(self, target: Target) -> None:
        self.times: list[float] = []
        self.failure: BaseException | None = None
        self._target = target
        self._stop = False
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        try:
            with self._target.dial() as sock:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                number = 0
                while not self._stop:
                    number += 1
                    text = b"request %d of the asker" % number
                    start = time.perf_counter()
                    sock.sendall(text)
                    assert exactly(sock, len(text)) == text.upper()
                    self.times.append(time.perf_counter() - start)
                    time.sleep(0.001)
        except BaseException as error:
            self.failure = error

    def __enter__(self) -> Asker:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop = True
        self._thread.join()

    def part(self, share: float) -> float:
        """Milliseconds that this share of the answers took at most."""
        times = sorted(self.times) or [0.0]
        return times[min(int(len(times) * share), len(times) - 1)] * 1000


def resets(target: Target, count: int) -> str:
    """Connections that reset: at once, after a byte, and in the middle of a reply."""
    for number in range(count):
        sock = target.dial()
        if number % 3 == 1:
            sock.sendall(b"x")
        elif number % 3 == 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.sendall(b"y" * 20_000)
        reset(sock)
    return f"{count} connections"


def idle(target: Target, count: int) -> str:
    """Connections that sent one byte and stay."""
    with held(target, 64):
        pass  # what the first connections cost once
    before = target.rss()
    with held(target, count):
        each = (target.rss() - before) / count
    assert each <= ALLOWED, f"{each:.0f} bytes of RSS for an idle connection"
    return f"{count} connections, {each:.0f} B of RSS each"


@contextmanager
def held(target: Target, count: int) -> Iterator[list[socket.socket]]:
    """So many connections, each answered once."""
    socks: list[socket.socket] = []
    try:
        for _ in range(count):
            sock = target.dial()
            socks.append(sock)
            sock.sendall(b"x")
        for sock in socks:
            assert exactly(sock, 1) == b"X"
        yield socks
    finally:
        for sock in socks:
            sock.close()


def slow_readers(target: Target, count: int) -> str:
    """Clients that send as much as is taken and read nothing, then everything."""
    block = b"a" * 65536
    before, sent = target.rss(), {}
    with held(target, count) as socks:
        for sock in socks:
            sock.setblocking(False)
            sent[sock] = 0
        end = time.monotonic() + 2
        while time.monotonic() < end:
            for sock in select.select([], socks, [], 0.2)[1]:
                try:
                    sent[sock] += sock.send(block)
                except BlockingIOError:
                    pass
        owed = (target.rss() - before) / count
        for sock in socks:
            sock.settimeout(30)
            assert exactly(sock, sent[sock]) == b"A" * sent[sock]
    return f"{count} clients were owed {sum(sent.values()) / MIB:.0f} MiB, RSS {owed / 1024:.0f} KiB each"


def slow_senders(target: Target, count: int) -> str:
    """Clients that send a byte at a time."""
    with held(target, count) as socks:
        for letter in b"slowly":
            for sock in socks:
                sock.sendall(bytes([letter]))
        for sock in socks:
            assert exactly(sock, 6) == b"SLOWLY"
    return f"{count} clients, 6 bytes one by one"


def half_open(target: Target, count: int) -> str:
    """Clients that have shut down their sending side and read late."""
    with held(target, count) as socks:
        for sock in socks:
            sock.sendall(b"h" * 30_000)
            sock.shutdown(socket.SHUT_WR)
        for sock in socks:
            assert exactly(sock, 30_000) == b"H" * 30_000
            assert sock.recv(1) == b""
    return f"{count} clients"


def flood(target: Target, count: int) -> str:
    """A client that sends for a while as fast as it can, and reads as fast."""
    size = count * 65536
    with target.dial() as sock:
        block = b"f" * 65536

        def send() -> None:
            for _ in range(count):
                sock.sendall(block)

        thread = threading.Thread(target=send)
        thread.start()
        got = 0
        while got < size:
            data = sock.recv(1 << 20)
            assert data and not data.strip(b"F")
            got += len(data)
        thread.join()
    return f"{size / MIB:.0f} MiB"


def run(target: Target, name: str, attack: Callable[[Target, int], str], count: int) -> bool:
    """One line; whether it went well."""
    rss, fds, cpu, start = target.rss(), target.descriptors(), target.cpu(), time.monotonic()
    failed = ""
    with Asker(target) as asker:
        try:
            said = attack(target, count)
        except AssertionError as error:
            said, failed = "", f"FAILED: {error}"
    if asker.failure is not None:
        failed = f"FAILED: the asker: {asker.failure!r}"
    end = time.monotonic() + 30
    while target.descriptors() > fds and time.monotonic() < end:
        time.sleep(0.05)
    if target.descriptors() > fds:
        failed = f"FAILED: {target.descriptors() - fds} descriptors are left"
    grown = target.rss() - rss
    print(
        f"{name:<13} {time.monotonic() - start:6.1f} s  CPU {target.cpu() - cpu:6.2f} s  "
        f"asker {len(asker.times):>6} answers, median {asker.part(0.5):.2f} ms, 99 % {asker.part(0.99):.2f} ms  "
        f"RSS after {grown / 1024:+.0f} KiB  {said}{failed}",
        flush=True,
    )
    return not failed


ATTACKS: dict[str, tuple[Callable[[Target, int], str], int]] = {
    "resets": (resets, 100_000),
    "idle": (idle, 16_000),
    "slow readers": (slow_readers, 200),
    "slow senders": (slow_senders, 1000),
    "half-open": (half_open, 1000),
    "flood": (flood, 8000),
}


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of every count")
    parser.add_argument("--engine", help="as knote serve's")
    parser.add_argument("--only", action="append", choices=ATTACKS, help="one attack, as often as one likes")
    parser.add_argument("--rounds", type=int, default=2, help="of all of them; the last tells what stays")
    asked = parser.parse_args()
    target = Target(asked.engine, ["--max-connections", "19900"])
    good = True
    try:
        flood(target, 1)  # what is opened at the first need is there
        for number in range(asked.rounds):
            before = target.rss()
            for name in asked.only or ATTACKS:
                attack, count = ATTACKS[name]
                good &= run(target, name, attack, max(int(count * asked.scale), 1))
            print(f"round {number + 1}: RSS {before / MIB:.1f} -> {target.rss() / MIB:.1f} MiB", flush=True)
    finally:
        target.process.terminate()
        good &= target.process.wait(30) == 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
