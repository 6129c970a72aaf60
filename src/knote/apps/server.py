"""The server: every client in one thread, and all that happens is a kevent or a completion."""

from __future__ import annotations

import math
import socket
import sys
import threading
from typing import TYPE_CHECKING, Any

from knote import kqueue
from knote._kernel.time import close_fd
from knote.apps import address as addresses
from knote.apps import drive
from knote.apps import service as services
from knote.apps.connection import Connection
from knote.apps.drain import QUIET, Drain
from knote.apps.limits import Addresses, Limits
from knote.apps.linger import Lingering
from knote.apps.listener import BACKLOG, Listener, forget, opened
from knote.apps.numbers import Numbers
from knote.apps.orders import Orders
from knote.apps.spare import Spare
from knote.apps.states import COUNTED, PER_ADDRESS, PROXIED, STOPPED, UNWATCHABLE
from knote.apps.wheel import Wheel

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from knote.apps.connection import Driver


def _on_stderr(text: str) -> None:
    try:
        if sys.stderr is not None:
            print(f"knote: {text}", file=sys.stderr, flush=True)
    except (OSError, ValueError):
        pass  # full, or closed: its clients are served all the same


class Server:
    """A server of stream sockets that answers what its service makes of the bytes.

    host, port: where to listen; port 0 takes a free one.  It listens when this returns, and `address` says where.
    service: 'upper', 'echo', 'discard', 'chargen', 'daytime', 'module:callable', or one of three shapes: a
        function from bytes to bytes, which gets what has arrived, a stretch of the stream and not a message; a
        class whose objects have data(), one for each connection; an async function of a Stream (docs/serve.md).
        One that raises ends its connection.
    listen: where to listen, instead of host and port: 'HOST:PORT', 'unix:PATH', (host, port) or listening sockets,
        as many as one likes.
    ours: those of these sockets that nobody else has: at its end they refuse who comes, and take a UNIX socket's
        file away, as if their address had been named.
    engine: 'ring' for io_uring(7), or as kqueue(engine=); None takes a ring where there is one.
    limits: what clients may have; Limits() when None.
    high_water, low_water: a client that is owed more than high_water bytes is not read from until it is owed
        no more than low_water.  limits.buffer and a quarter of it when None.
    tls: a Tls: every connection is one of TLS.
    proxy_from: addresses, ADDRESS/BITS and 'unix', from where a PROXY header says first for whom a proxy speaks;
        it is then the client's address that is logged and counted (knote.apps.proxy.Proxies).
    tell: takes each sentence that the operator should read; stderr when None.
    journal: a Journal, which is told of every connection.
    resting: accept from no listener before its resume() is called.
    trim: have the C allocator give back what connections that have gone leave (malloc_trim(3)).  It is the
        whole process's.
    Raises OSError when the address cannot be had, ServiceError for a service that is none.
    Threads: run() belongs to one thread; stop() and drain() may come from any, and from a signal handler.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        service: Any = "upper",
        *,
        listen: Sequence[Any] | None = None,
        ours: Sequence[socket.socket] = (),
        engine: str | None = None,
        limits: Limits | None = None,
        high_water: int | None = None,
        low_water: int | None = None,
        tls: Any = None,
        proxy_from: Sequence[str] = (),
        tell: Callable[[str], None] | None = None,
        journal: Any = None,
        resting: bool = False,
        trim: bool = False,
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
        self.proxies = _proxies(proxy_from)
        self.stopping = False
        self.draining = False
        """It accepts no more, and stops when the last connection has ended."""
        self.closing = False
        self.afterwards: Callable[[], None] | None = None
        """To be called once, when a turn of the loop has dealt with all that it brought."""
        self._drain: Drain | None = None
        self.accepted = 0
        """Connections so far."""
        self.connections: dict[int, Connection] = {}
        """By descriptor."""
        self.listeners: list[Listener] = []
        self.numbers = Numbers()
        """What has been counted; knote.apps.numbers.report() says it with what is there now."""
        self._addresses = Addresses(self.limits)
        self._thread: threading.Thread | None = None
        self._failure: BaseException | None = None
        choice = drive.choose(engine)
        self.kqueue = kqueue(engine=choice.engine)
        self.control: Any = self.kqueue.control
        wheres = listen if listen is not None else [(host, port)]
        socks: list[socket.socket] = []
        try:
            for where in wheres:
                socks += opened(where)
            if not socks:
                raise ValueError("listen=[]: a server listens somewhere")
            self.listeners = [
                Listener(self, sock, self.service, tls, given=sock is where and sock not in ours)
                for sock, where in zip(socks, wheres, strict=True)
            ]
            self._wheel = Wheel(self.control, self.limits)
            self._spare = Spare(self, trim)
            self.lingering = Lingering(self)
            """Closed but for their descriptors."""
            self.orders = Orders(self.control)
            """What is to be done by the thread that runs it."""
            self.driver: Driver = choice.make(self, self.kqueue, self._wheel)
            for listener in self.listeners:
                listener.resting = resting
                if not resting:
                    self.driver.listen(listener, BACKLOG)
        except BaseException:
            for sock, where in zip(socks, wheres, strict=False):
                forget(sock, given=sock is where and sock not in ours)
            self.kqueue.close()
            raise

    @property
    def address(self) -> Any:
        """Where the first listener listens: (host, port, ...), or the path of a UNIX socket."""
        return self.listeners[0].name

    @property
    def addresses(self) -> list[str]:
        """Where it listens, as HOST:PORT and unix:PATH."""
        return [addresses.named(listener.name) for listener in self.listeners]

    def run(self) -> None:
        """Serve until stop() is called, then close everything."""
        try:
            if self.kqueue.closed:
                raise ValueError("the server is closed")
            self.stopping = False  # a stop() that came before is still to be collected
            turn = self.driver.turn
            while not self.stopping:
                turn()
                if self.afterwards is not None:
                    afterwards, self.afterwards = self.afterwards, None
                    afterwards()
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
        self.orders.give(self._stop)

    def _stop(self) -> None:
        self.stopping = True

    def drain(self, seconds: float = math.inf, quiet: float = QUIET) -> None:
        """Accept no more, serve who is there, and make run() return when the last connection has ended, after
        `seconds` at the latest.  From any thread and from signal handlers.

        Its own listeners refuse who comes, accept for `quiet` seconds, 0.25 at most, those who had begun to
        connect, and are closed; those that it was given rest, for whoever shares them.  A connection that is owed
        nothing and was silent for `quiet` seconds is closed; math.inf: only its client or its service ends it.  A
        service's draining() is asked before (docs/serve.md).
        Raises ValueError for what is no time.  The last call counts; stop() ends it at once.
        """
        for name, value in (("seconds", seconds), ("quiet", quiet)):
            if not value >= 0:
                raise ValueError(f"{name}={value!r}: must be seconds, 0 or more")
        self.orders.give(lambda: self._begin_drain(seconds, quiet))

    def _begin_drain(self, seconds: float, quiet: float) -> None:
        if self._drain is not None:
            self._drain.close()
        self.draining = True
        self._drain = Drain(self, seconds, quiet)
        self._drain.begin()

    def close(self) -> None:
        """Close the listeners, the connections and the queue; for a server that runs in another thread, stop()
        it and join the thread first.  Idempotent."""
        if self.kqueue.closed:
            return
        self.closing = True
        for connection in list(self.connections.values()):
            connection.drop(STOPPED)
        self.lingering.close()
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
        return addresses.named(self.address)

    # ---- for the listeners, the drivers and the connections ---------------------------------------------------

    def room(self) -> bool:
        """Whether there may be one more connection."""
        return not self.limits.connections or len(self.connections) < self.limits.connections

    def admit(self, listener: Listener, fd: int) -> Connection | None:
        """A new connection; None where its address has too many, and then it is closed."""
        self.accepted += 1
        unix = not isinstance(listener.name, tuple)
        proxies = self.proxies
        host = ""
        if not unix and (self._addresses.most or self.journal is not None or proxies is not None):
            host = _peer(fd)
        flags = 0
        if proxies is not None and proxies.trusts(_host(host), unix):
            flags = PROXIED
        elif host:
            if not self._addresses.enter(_host(host)):
                self.numbers.turned_away(PER_ADDRESS)
                if self.journal is not None:
                    self.journal.refused(self.accepted, host, listener, PER_ADDRESS)
                close_fd(fd)
                return None
            flags = COUNTED
        connection = Connection(self.driver, listener, fd, self.accepted)
        connection.flags |= flags
        if host:
            connection.address = host
        self.connections[fd] = connection
        return connection

    def arrived(self, connections: list[Connection]) -> None:
        """Read from new connections: all of a burst by one call."""
        self.driver.add(connections)
        self._spare.arrived()
        for connection in connections:
            self._wheel.add(connection)
            if connection.flags & PROXIED:
                connection.wrap = self.proxies.preface(self, connection)
            else:
                self._begin(connection)

    def _begin(self, connection: Connection, via: str = "") -> None:
        if self.journal is not None:
            self.journal.opened(connection, via)
        if connection.listener.tls is not None:
            connection.wrap = connection.listener.tls.wrap(connection)  # which begins when both are agreed
        else:
            self.greet(connection)

    def greet(self, connection: Connection) -> None:
        """Its service begins."""
        connection.begin()
        if self._drain is not None:
            self._drain.joined(connection)

    def introduced(self, connection: Connection, client: str | None) -> None:
        """A proxy has said for whom it speaks; None: for itself, or it does not know."""
        via = connection.peer
        if client is not None:
            connection.address = client
            if not self._addresses.enter(_host(client)):
                connection.drop(PER_ADDRESS)
                return
            connection.flags |= COUNTED
        connection.flags &= ~PROXIED
        self._begin(connection, via if client is not None else "")

    def unwatchable(self, connection: Connection, error: OSError) -> None:
        """The kernel has no room for its knotes: it is closed."""
        self.tell(f"a connection from {connection.peer} is closed: it cannot be watched: {error.strerror}")
        connection.drop(UNWATCHABLE)

    def gone(self, connection: Connection, why: str) -> None:
        """A connection is closed, or about to be."""
        self._wheel.remove(connection)
        journal = self.journal
        if connection.flags & PROXIED:
            self.numbers.turned_away(why)
            if journal is not None:
                journal.refused(connection.id, connection.peer, connection.listener, why)
        else:
            self.numbers.ended(connection, why)
            if journal is not None:
                journal.closed(connection, why)
        if connection.flags & COUNTED:
            self._addresses.leave(_host(connection.address))

    def freed(self, connection: Connection) -> None:
        """Its descriptor is free."""
        if self.connections.get(connection.fd) is connection:
            del self.connections[connection.fd]
        if not self.closing:
            for listener in self.listeners:
                if listener.shut:
                    listener.open()
            self.unlistened()

    def unlistened(self) -> None:
        """Fewer may be there, or arrive, than before."""
        if self._drain is not None:
            self._drain.check()

    def service_failed(self, connection: Connection, error: BaseException) -> None:
        """The service raised, or its answer cannot be sent: its author needs to see where."""
        import traceback

        said = "".join(traceback.format_exception(error)).rstrip()
        self.tell(f"the service failed; the connection from {connection.peer} is closed.\n{said}")

    def peer_of(self, connection: Connection) -> str:
        """Where it comes from, for a message."""
        if connection.address is not None:
            return str(connection.address)
        return _peer(connection.fd) or f"descriptor {connection.fd}"


def _proxies(words: Sequence[str]) -> Any:
    if not words:
        return None
    from knote.apps.proxy import Proxies  # and with it ipaddress

    return Proxies(words)


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
