"""The server: every client in one thread, and all that happens is a kevent or a completion."""

from __future__ import annotations

import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_CLEAR, EV_KEEPUDATA, EVFILT_USER, NOTE_TRIGGER, kevent, kqueue
from knote._kernel.time import close_fd
from knote.apps import address as addresses
from knote.apps import drive
from knote.apps import service as services
from knote.apps.connection import Connection
from knote.apps.handler import Handler
from knote.apps.limits import Addresses, Limits
from knote.apps.listener import BACKLOG, Listener, opened
from knote.apps.states import STOPPED, UNWATCHABLE
from knote.apps.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from knote.apps.connection import Driver


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
    """A server of stream sockets that answers what its service makes of the bytes.

    host, port: where to listen; port 0 takes a free one.  It listens when this returns, and `address` says where.
    service: 'upper', 'echo', 'discard', 'chargen', 'daytime', 'module:callable', or one of three shapes: a
    function
        from bytes to bytes, which gets what has arrived, a stretch of the stream and not a message; a class whose
        objects have data(), one for each connection; an async function of a Stream (docs/serve.md).  One that
        raises ends its connection.
    listen: where to listen, instead of host and port: 'HOST:PORT', 'unix:PATH', (host, port) or listening
    sockets, as
        many as one likes.
    engine: 'ring' for io_uring(7), or as kqueue(engine=); None takes a ring where there is one.
    limits: what clients may have; Limits() when None.
    high_water, low_water: a client that is owed more than high_water bytes is not read from until it is owed
        no more than low_water.  limits.buffer and a quarter of it when None.
    tls: a Tls: every connection is one of TLS.
    tell: takes each sentence that the operator should read; stderr when None.
    journal: a Journal, which is told of every connection.
    Raises OSError when the address cannot be had, ServiceError for a service that is none.
    Threads: run() belongs to one thread; stop() may come from any, and from a signal handler.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        service: Any = "upper",
        *,
        listen: Sequence[Any] | None = None,
        engine: str | None = None,
        limits: Limits | None = None,
        high_water: int | None = None,
        low_water: int | None = None,
        tls: Any = None,
        tell: Callable[[str], None] | None = None,
        journal: Any = None,
    ) -> None:
        self.limits = limits or Limits()
        self.high_water = self.limits.buffer if high_water is None else high_water
        self.low_water = self.high_water // 4 if low_water is None else low_water
        if not 0 <= self.low_water <= self.high_water:
            raise ValueError(f"low_water={self.low_water} must lie between 0 and high_water={self.high_water}")
        self.service = services.find(service)
        self.tell = tell or _on_stderr
        self.journal = journal
        self.tls = tls
        self.stopping = False
        self.draining = False
        self.accepted = 0
        """Connections so far."""
        self.connections: dict[int, Connection] = {}
        """By descriptor."""
        self.listeners: list[Listener] = []
        self._addresses = Addresses(self.limits)
        self._given: list[socket.socket] = []
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        choice = drive.choose(engine)
        self.kqueue = kqueue(engine=choice.engine)
        self.control: Any = self.kqueue.control
        socks: list[socket.socket] = []
        try:
            for where in listen if listen is not None else [(host, port)]:
                try:
                    socks.append(opened(where))
                except OSError as error:
                    raise OSError(error.errno, error.strerror, _named(where)) from None
                if socks[-1] is where:
                    self._given.append(where)
            if not socks:
                raise ValueError("listen=[]: a server listens somewhere")
            self.listeners = [Listener(self, sock, self.service, tls) for sock in socks]
            self._wheel = Wheel(self.control, self.limits)
            self.control([kevent(0, EVFILT_USER, EV_ADD | EV_CLEAR, 0, 0, _Stop(self))], 0)
            self.driver: Driver = choice.make(self, self.kqueue, self._wheel)
            for listener in self.listeners:
                self.driver.listen(listener, BACKLOG)
        except BaseException:
            for sock in socks:
                sock.close()
            self.kqueue.close()
            raise

    @property
    def address(self) -> Any:
        """Where the first listener listens: (host, port, ...), or the path of a UNIX socket."""
        return self.listeners[0].name

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as HOST:PORT and unix:PATH."""
        return [_text(listener.name) for listener in self.listeners]

    def run(self) -> None:
        """Serve until stop() is called, then close everything."""
        try:
            if self.kqueue.closed:
                raise ValueError("the server is closed")
            self.stopping = False  # a stop() that came before is still to be collected
            turn = self.driver.turn
            while not self.stopping:
                turn()
        finally:
            self.close()

    def start(self) -> Server:
        """run() in a thread of its own, until the with block ends or join() is called after stop()."""
        if self._thread is not None:
            raise RuntimeError("the server was started already")
        self._thread = threading.Thread(target=self._run, name=f"server {self}")
        self._thread.start()
        return self

    def _run(self) -> None:
        try:
            self.run()
        except BaseException as error:
            self._failure = error

    def join(self, timeout: float | None = None) -> bool:
        """Wait until the thread that start() began has ended, after stop(): False if it has not.  Raises what
        run() raised."""
        thread = self._thread
        if thread is not None:
            thread.join(timeout)
            if thread.is_alive():
                return False
            self._thread = None
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        return True

    def stop(self) -> None:
        """Make run() return soon.  From any thread, from a signal handler, more than once."""
        try:
            self.control([kevent(0, EVFILT_USER, EV_KEEPUDATA, NOTE_TRIGGER)], 0)
        except ValueError:
            pass  # closed: it has stopped

    def close(self) -> None:
        """Close the listeners, the connections and the queue; for a server that runs in another thread, stop()
        it and join the thread first.  Idempotent."""
        if self.kqueue.closed:
            return
        self.draining = True
        for connection in list(self.connections.values()):
            connection.drop(STOPPED)
        self.driver.close()
        for listener in self.listeners:
            listener.close()
        self.connections.clear()
        self.kqueue.close()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._thread is not None:
            self.stop()
            self.join()
        self.close()

    def __len__(self) -> int:
        """Connections now."""
        return len(self.connections)

    def __bool__(self) -> bool:
        return True

    def __str__(self) -> str:
        return _text(self.address)

    # ---- for the listeners, the drivers and the connections ---------------------------------------------------

    def room(self) -> bool:
        """Whether there may be one more connection."""
        return not self.limits.connections or len(self.connections) < self.limits.connections

    def inherited(self, sock: socket.socket) -> bool:
        """Whether it was given to this server listening, so that its file is another's."""
        return sock in self._given

    def admit(self, listener: Listener, fd: int) -> Connection | None:
        """A new connection; None where its address has too many, and then it is closed."""
        self.accepted += 1
        host = ""
        if isinstance(listener.name, tuple) and (self._addresses.most or self.journal is not None):
            host = _peer(fd)
            if not self._addresses.enter(_host(host)):
                if self.journal is not None:
                    self.journal.refused(self.accepted, host, listener)
                close_fd(fd)
                return None
        connection = Connection(self.driver, listener, fd, self.accepted)
        if host:
            connection.address = host
        self.connections[fd] = connection
        return connection

    def arrived(self, connections: list[Connection]) -> None:
        """Read from new connections: all of a burst by one call."""
        self.driver.add(connections)
        for connection in connections:
            self._wheel.add(connection)
            if self.journal is not None:
                self.journal.opened(connection)
            if connection.listener.tls is not None:
                connection.wrap = connection.listener.tls.wrap(connection)  # which begins when both are agreed
            else:
                connection.begin()

    def unwatchable(self, connection: Connection, error: OSError) -> None:
        """The kernel has no room for its knotes: it is closed."""
        self.tell(f"a connection from {connection.peer} is closed: it cannot be watched: {error.strerror}")
        connection.drop(UNWATCHABLE)

    def gone(self, connection: Connection, why: str) -> None:
        """A connection is closed, or about to be."""
        self._wheel.remove(connection)
        if self.journal is not None:
            self.journal.closed(connection, why)
        if connection.address is not None:
            self._addresses.leave(_host(connection.address))

    def freed(self, connection: Connection) -> None:
        """Its descriptor is free."""
        if self.connections.get(connection.fd) is connection:
            del self.connections[connection.fd]
        for listener in self.listeners:
            if listener.shut and not self.draining:
                listener.open()

    def service_failed(self, connection: Connection, error: Exception) -> None:
        """The service raised, or its answer cannot be sent: its author needs to see where."""
        import traceback

        said = "".join(traceback.format_exception(error)).rstrip()
        self.tell(f"the service failed; the connection from {connection.peer} is closed.\n{said}")

    def peer_of(self, connection: Connection) -> str:
        """Where it comes from, for a message."""
        if connection.address is not None:
            return str(connection.address)
        return _peer(connection.fd) or f"descriptor {connection.fd}"


def _named(where: Any) -> str:
    return where if isinstance(where, str) else addresses.join(*where) if isinstance(where, tuple) else repr(where)


def _text(name: Any) -> str:
    return addresses.text(name) if isinstance(name, tuple) else f"unix:{name}"


def _host(peer: str) -> str:
    """'::1' of '[::1]:7000'; '' of what has no address."""
    return peer[: peer.rfind(":")].strip("[]") if ":" in peer else ""


def _peer(fd: int) -> str:
    try:
        sock = socket.socket(fileno=fd)
    except OSError:
        return ""
    try:
        name = sock.getpeername()
        return addresses.text(name) if isinstance(name, tuple) else "unix"
    except OSError:
        return ""
    finally:
        sock.detach()
