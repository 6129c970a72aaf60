"""The classic kqueue server: every client in one thread, and all that happens is a kevent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_CLEAR, EV_KEEPUDATA, EVFILT_USER, NOTE_TRIGGER, kevent, kqueue
from knote.apps import address as addresses
from knote.apps import service as services
from knote.apps.handler import Handler, deliver
from knote.apps.listener import Listener, listen

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from knote.apps.connection import Connection

EVENTS = 1024
"""Events collected at once."""
HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024


def _on_stderr(text: str) -> None:
    print(f"knote: {text}", file=sys.stderr, flush=True)


class _Stop(Handler):
    """The event that stop() triggers: legal from any thread and from signal handlers."""

    __slots__ = ("_server",)

    def __init__(self, server: Server) -> None:
        self._server: Any = server

    def ready(self, event: kevent) -> None:
        """Leave the loop."""
        self._server.stopping = True


class Server:
    """A TCP server that answers what its service makes of the bytes.

    host, port: where to listen; port 0 takes a free one.  It listens when this returns, and `address` says where.
    service: 'upper', 'echo', 'discard', 'module:callable' or a function from bytes to bytes.  It gets what has
        arrived, which is a stretch of the stream and not a message.  One that raises ends its connection.
    engine: as kqueue(engine=).
    high_water, low_water: a client that is owed more than high_water bytes is not read from until it is owed
        no more than low_water.
    tell: takes each sentence that the operator should read; stderr when None.
    Raises OSError when the address cannot be had, ServiceError for a service that is none.
    Threads: run() belongs to one thread; stop() may come from any, and from a signal handler.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        service: str | services.Service = "upper",
        *,
        engine: str | None = None,
        high_water: int = HIGH_WATER,
        low_water: int = LOW_WATER,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        if not 0 <= low_water <= high_water:
            raise ValueError(f"low_water={low_water} must lie between 0 and high_water={high_water}")
        self.service = services.find(service)
        self.high_water = high_water
        self.low_water = low_water
        self.tell = tell or _on_stderr
        self.stopping = False
        self._connections: dict[int, Connection] = {}
        self.kqueue = kqueue(engine=engine)
        self.control: Any = self.kqueue.control
        try:
            sock = listen(host, port)
            try:
                self.address: tuple[Any, ...] = sock.getsockname()
                self._listener = Listener(self, sock)
                self.control([kevent(0, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, _Stop(self))], 0)
            except BaseException:
                sock.close()
                raise
        except BaseException:
            self.kqueue.close()
            raise

    def run(self) -> None:
        """Serve until stop() is called, then close everything."""
        try:
            control = self.control
            self.stopping = False  # a stop() that came before is still to be collected
            while not self.stopping:
                deliver(control(None, EVENTS, None))
        finally:
            self.close()

    def stop(self) -> None:
        """Make run() return soon.  From any thread, from a signal handler, more than once."""
        try:
            self.control([kevent(0, EVFILT_USER, EV_KEEPUDATA, NOTE_TRIGGER)], 0)
        except ValueError:
            pass  # closed: it has stopped

    def close(self) -> None:
        """Close the listener, the connections and the queue; for a server that runs in another thread, stop()
        it and join the thread first.  Idempotent."""
        if self.kqueue.closed:
            return
        self._listener.close()
        self.kqueue.close()
        for connection in self._connections.values():
            connection.drop()
        self._connections.clear()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        """Connections now."""
        return len(self._connections)

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return addresses.text(self.address)

    # ---- for the listener and the connections --------------------------------------------------------------

    def arrived(self, connections: list[Connection]) -> None:
        """Watch new connections: all of a burst by one call."""
        for connection in connections:
            self._connections[connection.fd] = connection
        try:
            self.control([connection.arrival() for connection in connections], 0)
        except OSError:
            self._one_by_one(connections)

    def _one_by_one(self, connections: list[Connection]) -> None:
        # One was refused, and those after it were not tried; adding the others again changes nothing.
        for connection in connections:
            try:
                self.control([connection.arrival()], 0)
            except OSError as error:
                self.unwatchable(connection, error)
                connection.close()

    def unwatchable(self, connection: Connection, error: OSError) -> None:
        """The kernel has no room for its knotes."""
        self.tell(f"a connection from {connection.peer()} is closed: it cannot be watched: {error.strerror}")

    def closed(self, fd: int) -> None:
        """A connection is gone, and its descriptor free."""
        self._connections.pop(fd, None)
        if self._listener.shut:
            self._listener.open()

    def service_failed(self, connection: Connection, error: Exception) -> None:
        """The service raised, or its answer cannot be sent: its author needs to see where."""
        import traceback

        said = "".join(traceback.format_exception(error)).rstrip()
        self.tell(f"the service failed; the connection from {connection.peer()} is closed.\n{said}")
