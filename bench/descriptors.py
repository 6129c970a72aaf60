"""Descriptors to watch: some ready, most idle."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import socket
from collections.abc import Iterator, Sequence

WORD = b"knote"
"""What every ready descriptor holds."""

HIGH = 2048
"""From here on are those that nobody watches, where select(2) has no use for the number."""


def _moved(fd: int, least: int) -> int:
    """A duplicate with a number from least on."""
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, least)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE)) from None  # RLIMIT_NOFILE is below


def spread(ready: int, among: int) -> set[int]:
    """Indices of the ready ones: evenly apart, as in the papers' benchmarks."""
    return {k * among // ready for k in range(ready)}


@contextlib.contextmanager
def pipes(count: int, ready: int) -> Iterator[list[int]]:
    """The read ends of count pipes, of which `ready` hold WORD."""
    with contextlib.ExitStack() as stack:
        full = spread(ready, count)
        ends = []
        for i in range(count):
            reading, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            stack.callback(os.close, reading)
            stack.callback(os.close, writing)
            if i in full:
                os.write(writing, WORD)
            ends.append(reading)
        yield ends


@contextlib.contextmanager
def pipe_ends(count: int) -> Iterator[tuple[list[int], list[int]]]:
    """(the read ends, the write ends) of count empty pipes."""
    with contextlib.ExitStack() as stack:
        ends = []
        for _ in range(count):
            pair = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
            for fd in pair:
                stack.callback(os.close, fd)
            ends.append(pair)
        yield [reading for reading, _ in ends], [writing for _, writing in ends]


@contextlib.contextmanager
def mixed(count: int, ready: int) -> Iterator[list[int]]:
    """Pipes that hold WORD, and idle eventfds: one low number each, for who cannot take high ones."""
    with contextlib.ExitStack() as stack:
        full = spread(ready, count)
        fds: list[int] = []
        for i in range(count):
            if i in full:
                fd, writing = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
                high = _moved(writing, max(fds, default=fd) + count)
                os.close(writing)
                stack.callback(os.close, high)
                os.write(high, WORD)
            else:
                fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            stack.callback(os.close, fd)
            fds.append(fd)
        yield fds


@contextlib.contextmanager
def full_sockets(count: int) -> Iterator[list[int]]:
    """Ends of connected sockets that have nothing to read and no room to write: one low number each."""
    with contextlib.ExitStack() as stack:
        fds = []
        for _ in range(count):
            here, low = socket.socketpair()
            stack.enter_context(here)
            with low:
                there = _moved(low.fileno(), HIGH)
            stack.callback(os.close, there)
            here.setblocking(False)
            here.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            with contextlib.suppress(BlockingIOError):
                while True:
                    here.send(bytes(4096))
            fds.append(here.fileno())
        yield fds


@contextlib.contextmanager
def counters(count: int, ready: int = 0) -> Iterator[list[int]]:
    """eventfds, of which `ready` are above zero: one descriptor each, where a pipe takes two."""
    with contextlib.ExitStack() as stack:
        full = spread(ready, count)
        fds = []
        for i in range(count):
            fd = os.eventfd(int(i in full), os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            stack.callback(os.close, fd)
            fds.append(fd)
        yield fds


@contextlib.contextmanager
def socket_ends(count: int) -> Iterator[list[int]]:
    """count ends of connected sockets, each other's peers; nothing to read, room to write."""
    with contextlib.ExitStack() as stack:
        fds = []
        for _ in range((count + 1) // 2):
            for end in socket.socketpair():
                stack.enter_context(end)
                end.setblocking(False)
                fds.append(end.fileno())
        yield fds[:count]


@contextlib.contextmanager
def tcp_sockets(count: int) -> Iterator[list[int]]:
    """The accepted ends of count connections, each with WORD to read."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=count))
        accepted = []
        for _ in range(count):
            client = stack.enter_context(socket.create_connection(listener.getsockname()))
            server = stack.enter_context(listener.accept()[0])
            server.setblocking(False)
            client.sendall(WORD)
            accepted.append(server.fileno())
        # Loopback delivers before sendall() returns, except when softirqs are put off to a thread.
        ready = select.poll()
        for fd in accepted:
            ready.register(fd, select.POLLIN)
        while len(ready.poll(1000)) < count:
            pass
        yield accepted


@contextlib.contextmanager
def epoll_of(fds: Sequence[int], mask: int = select.EPOLLIN) -> Iterator[select.epoll]:
    """A select.epoll with all of them, level-triggered."""
    with select.epoll() as epoll:
        for fd in fds:
            epoll.register(fd, mask)
        yield epoll
