"""Upper-case servers by other means: `python -m bench.servers epoll|asyncio|uvloop|LOOP-protocol|LOOP-streams`.

Each prints 127.0.0.1:PORT and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import select
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, cast


def announce(listener: socket.socket) -> None:
    """Tell whoever started this where to connect."""
    host, port = listener.getsockname()
    print(f"{host}:{port}", flush=True)


def listen() -> socket.socket:
    """A listening socket on a free port."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
    listener.setblocking(False)
    announce(listener)
    return listener


def by_epoll() -> None:
    """select.epoll by hand, level-triggered."""
    listener = listen()
    epoll = select.epoll()
    epoll.register(listener, select.EPOLLIN)
    connections: dict[int, socket.socket] = {}
    unsent: dict[int, bytes] = {}

    def send(fd: int, data: bytes) -> None:
        try:
            rest = data[connections[fd].send(data) :]
        except BlockingIOError:
            rest = data
        if rest and fd not in unsent:
            epoll.modify(fd, select.EPOLLOUT)
        if rest:
            unsent[fd] = rest
        elif unsent.pop(fd, None):
            epoll.modify(fd, select.EPOLLIN)

    while True:
        for fd, _ in epoll.poll():
            if fd == listener.fileno():
                connection = listener.accept()[0]
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[connection.fileno()] = connection
                epoll.register(connection, select.EPOLLIN)
                continue
            try:
                if fd in unsent:
                    send(fd, unsent[fd])
                elif data := connections[fd].recv(65536):
                    send(fd, data.upper())
                else:
                    connections.pop(fd).close()
            except OSError:
                connections.pop(fd).close()
                unsent.pop(fd, None)


class Upper(asyncio.Protocol):
    """The service as an asyncio protocol."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As asyncio.Protocol."""
        self.transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """As asyncio.Protocol."""
        self.transport.write(data.upper())


async def _for_ever(server: asyncio.Server) -> None:
    # Not server.serve_forever(): after that rloop 0.5 does not listen.
    await asyncio.Event().wait()
    server.close()


async def serve_protocol() -> None:
    """Serve on the running loop."""
    server = await asyncio.get_running_loop().create_server(Upper, sock=listen())
    await _for_ever(server)


def by_asyncio() -> None:
    """asyncio's own loop."""
    asyncio.run(serve_protocol())


def by_uvloop() -> None:
    """uvloop, if it is installed."""
    importlib.import_module("uvloop").run(serve_protocol())


async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The service on asyncio's streams."""
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data.upper())
    writer.close()


async def serve_streams() -> None:
    """Serve on the running loop."""
    server = await asyncio.start_server(converse, sock=listen())
    await _for_ever(server)


def on_loop(factory: str, style: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """A server on the loops that MODULE:NAME makes."""

    def serve() -> None:
        module, _, name = factory.partition(":")
        make = getattr(importlib.import_module(module), name)
        with asyncio.Runner(loop_factory=make) as runner:
            runner.run(style())

    return serve


LOOPS = {
    "proactor": "knote.loops.proactor:ProactorEventLoop",
    "selector": "asyncio:SelectorEventLoop",
    "uvloop": "uvloop:new_event_loop",
    "rloop": "rloop:new_event_loop",
}
"""asyncio's loops, each with the two ways to write a service: "uvloop-streams"."""


def upper(data: bytes) -> bytes:
    """The service as a function, for knote serve."""
    return data.upper()


SERVERS: dict[str, Callable[[], None]] = {
    "epoll": by_epoll,
    "asyncio": by_asyncio,
    "uvloop": by_uvloop,
    **{f"{name}-protocol": on_loop(factory, serve_protocol) for name, factory in LOOPS.items()},
    **{f"{name}-streams": on_loop(factory, serve_streams) for name, factory in LOOPS.items()},
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]]()
