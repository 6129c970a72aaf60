"""Upper-case servers by other means: `python -m bench.servers epoll|asyncio|uvloop`.

Each prints 127.0.0.1:PORT and serves until it is killed.
"""

from __future__ import annotations

import asyncio
import importlib
import select
import socket
import sys
from collections.abc import Callable
from typing import cast


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


async def serve_protocol() -> None:
    """Serve on the running loop."""
    server = await asyncio.get_running_loop().create_server(Upper, sock=listen())
    await server.serve_forever()


def by_asyncio() -> None:
    """asyncio's own loop."""
    asyncio.run(serve_protocol())


def by_uvloop() -> None:
    """uvloop, if it is installed."""
    importlib.import_module("uvloop").run(serve_protocol())


def upper(data: bytes) -> bytes:
    """The service as a function, for knote serve."""
    return data.upper()


SERVERS: dict[str, Callable[[], None]] = {
    "epoll": by_epoll,
    "asyncio": by_asyncio,
    "uvloop": by_uvloop,
}

if __name__ == "__main__":
    SERVERS[sys.argv[1]]()
