"""Running knote as its users do, and serving in a thread of the test's own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from knote.apps.server import Server
from tests.support.waiting import SOON, in_a_wait, wait_until

PATIENCE: Final = 30.0
"""Seconds until a program that should have ended is killed and the test fails."""

SIZES: Final = (0, 1, 4095, 4096, 4097, 65536, 65537, (1 << 20) + 3)
"""Empty, a byte, around a page (PIPE_BUF), around a pipe, and more than any buffer on the way."""


def command(*arguments: str) -> list[str]:
    """The words that start a program: this interpreter, this knote."""
    return [sys.executable, "-m", "knote", *arguments]


def knote(*arguments: str, **how: Any) -> subprocess.CompletedProcess[bytes]:
    """Run it to its end; stderr is captured, stdout too unless it is given."""
    how.setdefault("stdout", subprocess.PIPE)
    how.setdefault("stderr", subprocess.PIPE)
    if "input" not in how:
        how.setdefault("stdin", subprocess.DEVNULL)
    how.setdefault("timeout", PATIENCE)
    return subprocess.run(command(*arguments), check=False, **how)


@contextmanager
def started(*arguments: str, **how: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start it; killed at the end if it has not ended by itself."""
    process = subprocess.Popen(command(*arguments), **how)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream is not None:
                stream.close()


def ended(process: subprocess.Popen[bytes]) -> int:
    """Its exit status, once it has ended."""
    return process.wait(PATIENCE)


class Serving:
    """A `knote serve` process, listening."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        self.process = process
        self.lines = [process.stdout.readline().decode()]
        while not self.lines[-1].startswith("Stop it") and self.lines[-1]:
            self.lines.append(process.stdout.readline().decode())
        host, _, port = self.lines[0].strip().rpartition(":")
        self.host, self.port = host.strip("[]"), int(port)

    def client(self) -> socket.socket:
        """A new connection."""
        return socket.create_connection((self.host, self.port), timeout=SOON)

    def rss(self) -> int:
        """Resident bytes."""
        return rss(self.process.pid)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it; the exit status."""
        self.process.send_signal(number)
        return ended(self.process)


@contextmanager
def serving(*arguments: str, **how: Any) -> Iterator[Serving]:
    """`knote serve` with these arguments, on a free port."""
    how.setdefault("stderr", subprocess.PIPE)
    with started("serve", *arguments, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, **how) as process:
        yield Serving(process)


@contextmanager
def a_port(host: str = "127.0.0.1") -> Iterator[int]:
    """A port for a server to listen at, and for nobody else: while none of them listens two sockets may have it,
    which both say SO_REUSEADDR and name it (socket(7)); whoever takes any port gets another one."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, 0))
        port: int = sock.getsockname()[1]
        yield port


@contextmanager
def running(service: Any = "upper", **how: Any) -> Iterator[Server]:
    """A Server in a thread; an error of its run() is the test's."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            server.run()
        except BaseException as error:
            failure.append(error)

    with Server(service=service, **how) as server:
        thread = threading.Thread(target=run, name="server")
        thread.start()
        try:
            yield server
        finally:
            server.stop()
            thread.join(PATIENCE)
            assert not thread.is_alive(), "the server did not stop"
    if failure:
        raise failure[0]


def dial(server: Server) -> socket.socket:
    """A connection to a running server."""
    return socket.create_connection(server.address[:2], timeout=SOON)


def exactly(sock: socket.socket, count: int) -> bytes:
    """The next count bytes."""
    got = bytearray()
    while len(got) < count:
        data = sock.recv(min(count - len(got), 1 << 16))
        assert data, f"the end after {len(got)} of {count} bytes"
        got += data
    return bytes(got)


def to_the_end(sock: socket.socket) -> bytes:
    """All bytes until the other side has ended."""
    got = bytearray()
    while data := sock.recv(1 << 16):
        got += data
    return bytes(got)


def rss(pid: int) -> int:
    """Resident bytes of a process."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"process {pid} has ended")


@contextmanager
def beside(work: Callable[[], object]) -> Iterator[None]:
    """Run it in a thread meanwhile; its error is the test's."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:
            failure.append(error)

    thread = threading.Thread(target=run, name="beside")
    thread.start()
    try:
        yield
    finally:
        thread.join(PATIENCE)
    assert not thread.is_alive(), "what ran beside the test did not end"
    if failure:
        raise failure[0]


def feed(fd: int, data: bytes) -> None:
    """Write everything, then close."""
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
    finally:
        os.close(fd)


def all_of(fd: int) -> bytes:
    """Read to the end; EIO is a terminal's."""
    got = bytearray()
    while True:
        try:
            data = os.read(fd, 1 << 16)
        except OSError:
            return bytes(got)
        if not data:
            return bytes(got)
        got += data


def settled(process: subprocess.Popen[bytes]) -> None:
    """Return once the program waits in its kqueue."""
    wait_until(lambda: in_a_wait(process.pid), what="the program waits for events")
