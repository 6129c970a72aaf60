"""`knote serve` under attack: `python -m tests.soak.attack [--scale 1] [--engine ring|epoll] [--peer]`.

One server, one attack after the other, beside each a client that asks and checks every byte, in a process of its
own: how long it waits is told as a multiple of what it waits for alone.  Client and server have real-time priority
where that is granted, so that the server is measured, and not who else wants the core.  After each attack
the server must hold no descriptor more than before; after a round, and a moment of rest, no more memory than
it had after the flood of one block that comes first.  A line for each, and status 1 if one failed.

What clients want at the same time is work that somebody waits for, on any server of one thread: --peer attacks
the C server on epoll (bench/c/upper.c) first, and tells how long the client beside waits for knote as a multiple
of what he waits for that.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
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
KEPT = 3 * MIB
"""Of RSS beyond what a new server that has served once has: tables, and pools of their first size."""
REST = 15.0
"""Seconds until memory must be back."""
FIRST = 3.0
"""Seconds that the client asks alone, and that an attack takes at least: the slowest of a hundred answers says
nothing of one that is over after fifty."""
OWED = 5 * MIB
"""Bytes that a slow reader sends at most: they fill the send buffer of its server (4 MiB, net.ipv4.tcp_wmem) and
what that keeps itself.  With more, 200 of them have all the memory that the kernel gives to TCP
(net.ipv4.tcp_mem), and it drops what anybody sends."""
STAY = 3.0
"""Seconds that idle connections stay."""
ALLOWED = 512
"""Bytes of RSS for an idle connection of a built-in service."""


class Target:
    """The server's process."""

    def __init__(self, command: list[str]) -> None:
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


def realtime(*threads: int) -> None:
    """SCHED_FIFO for these threads, if we may."""
    for thread in threads:
        try:
            os.sched_setscheduler(thread, os.SCHED_FIFO, os.sched_param(1))
        except OSError:
            return


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
        realtime(threading.get_native_id())
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
        _settled()
        time.sleep(STAY)
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
            more = [sock for sock in socks if sent[sock] < OWED]
            for sock in select.select([], more, [], 0.2)[1]:
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


def descriptors(target: Target, count: int) -> str:
    """More connections than the server has descriptors for; those that wait are served when others have gone."""
    soft, hard = resource.prlimit(target.process.pid, resource.RLIMIT_NOFILE)
    room = target.descriptors() + max(count // 10, 1)
    resource.prlimit(target.process.pid, resource.RLIMIT_NOFILE, (room, hard))
    try:
        waiting = [target.dial() for _ in range(count)]
        for sock in waiting:
            sock.sendall(b"d")
        served = 0
        while waiting:
            ready = select.select(waiting, [], [], 30)[0]
            assert ready, f"{len(waiting)} of {count} are not served"
            for sock in ready:
                assert exactly(sock, 1) == b"D"
                sock.close()
                waiting.remove(sock)
                served += 1
        return f"{served} connections served with {max(count // 10, 1)} descriptors"
    finally:
        resource.prlimit(target.process.pid, resource.RLIMIT_NOFILE, (soft, hard))


def _settled() -> None:
    """Only from here on counts how long the client beside waits: prepared() puts another function here."""


@contextmanager
def prepared(target: Target, attack: Callable[[Target, int], str], count: int) -> Iterator[Callable[[Asker], str]]:
    """An attack in another process, whose interpreter the client does not share; it begins when the function that
    this gives is called, which gives what it says.  Made before the client asks: a fork stops all threads."""
    ours, theirs = multiprocessing.Pipe()

    def attacks() -> Iterator[str]:
        end = time.monotonic() + FIRST
        yield attack(target, count)
        while time.monotonic() < end:
            yield attack(target, count)

    def run() -> None:
        globals()["_settled"] = lambda: theirs.send(None)
        theirs.recv()
        try:
            said = list(attacks())
            theirs.send((said[-1] + (f", {len(said)} times" if len(said) > 1 else ""), ""))
        except BaseException as error:
            theirs.send(("", f"FAILED: {error!r}"))

    def begin(asker: Asker) -> str:
        ours.send(None)
        try:
            while (answer := ours.recv()) is None:
                asker.times.clear()
            said, failed = answer
        except EOFError:
            said, failed = "", "FAILED: the attacker has ended"
        if failed:
            raise AssertionError(failed)
        return str(said)

    child = multiprocessing.get_context("fork").Process(target=run)
    child.start()
    theirs.close()
    try:
        yield begin
    finally:
        ours.close()
        child.join()


def beside_c(attacks: list[str], scale: float) -> dict[str, float]:
    """By attack: milliseconds that 99 % of the answers took at most beside it, of the C server on epoll."""
    from bench import native

    waited = {}
    for name in attacks:
        attack, count = ATTACKS[name]
        target = Target([str(native.program("upper.c"))])
        try:
            realtime(target.process.pid)
            flood(target, 1)
            with prepared(target, attack, max(int(count * scale), 1)) as begin, Asker(target) as asker:
                begin(asker)
            waited[name] = asker.part(0.99)
            print(f"C epoll: {name}: median {asker.part(0.5):.2f} ms, 99 % {asker.part(0.99):.2f} ms", flush=True)
        except AssertionError as error:
            print(f"C epoll: {name}: {error}", flush=True)
        finally:
            target.process.kill()
            target.process.wait()
    return waited


def run(
    target: Target,
    name: str,
    attack: Callable[[Target, int], str],
    count: int,
    alone: float,
    peer: float | None,
) -> bool:
    """One line; whether it went well."""
    rss, fds, cpu, start = target.rss(), target.descriptors(), target.cpu(), time.monotonic()
    failed = ""
    with prepared(target, attack, count) as begin, Asker(target) as asker:
        try:
            said = begin(asker)
        except AssertionError as error:
            said, failed = "", str(error)
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
        f"asker {len(asker.times):>6} answers, median {asker.part(0.5):.2f} ms, 99 % {asker.part(0.99):.2f} ms "
        f"({asker.part(0.99) / alone:.1f} x alone"
        + (f", {asker.part(0.99) / peer:.2f} x C epoll" if peer else "")
        + ")  "
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
    "descriptors": (descriptors, 1000),
}


def main() -> int:
    """The exit status."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--scale", type=float, default=1.0, help="of every count")
    parser.add_argument("--engine", help="as knote serve's")
    parser.add_argument("--only", action="append", choices=ATTACKS, help="one attack, as often as one likes")
    parser.add_argument("--rounds", type=int, default=2, help="of all of them; the last tells what stays")
    parser.add_argument("--peer", action="store_true", help="attack C epoll, too, and compare the times")
    asked = parser.parse_args()
    attacks = asked.only or list(ATTACKS)
    waited = beside_c(attacks, asked.scale) if asked.peer else {}
    command = [sys.executable, "-m", "knote", "serve", "--service", "upper", "--max-connections", "19900"]
    target = Target([*command, *(["--engine", asked.engine] if asked.engine else [])])
    good = True
    try:
        realtime(target.process.pid)
        flood(target, 1)  # what is opened at the first need is there
        first = target.rss()
        with Asker(target) as asker:
            time.sleep(FIRST)
        alone = asker.part(0.99)
        print(f"alone: median {asker.part(0.5):.2f} ms, 99 % {alone:.2f} ms; RSS {first / MIB:.1f} MiB")
        for number in range(asked.rounds):
            for name in attacks:
                attack, count = ATTACKS[name]
                good &= run(target, name, attack, max(int(count * asked.scale), 1), alone, waited.get(name))
            end = time.monotonic() + REST
            while target.rss() > first + KEPT and time.monotonic() < end:
                time.sleep(0.1)
            back = target.rss() <= first + KEPT
            good &= back
            print(
                f"round {number + 1}: RSS {first / MIB:.1f} -> {target.rss() / MIB:.1f} MiB"
                + ("" if back else f" FAILED: more than {KEPT / MIB:g} MiB stay"),
                flush=True,
            )
    finally:
        target.process.terminate()
        good &= target.process.wait(30) == 0
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
