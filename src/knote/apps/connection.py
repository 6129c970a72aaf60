# cython: annotation_typing=False
"""One client of a server: what it sends goes to the service, and what the service says goes back.

Here is what is the same however the bytes travel; a Driver moves them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knote.apps.handler import Handler
from knote.apps.outgoing import Outgoing
from knote.apps.service import CALL, CHARGEN, DAYTIME, PROTOCOL, UPPER
from knote.apps.states import (
    BEGUN,
    CLIENT,
    CLOSED,
    ENDED,
    FAILED,
    FINISHING,
    FULL,
    HELD,
    LINGERING,
    READING,
    SERVICE,
    SILENT,
)

if TYPE_CHECKING:
    from knote.apps.listener import Listener
    from knote.apps.server import Server

_DEAF = FULL | HELD | ENDED | FINISHING | CLOSED


class Driver:
    """How bytes travel between sockets and connections, and what waits for them."""

    __slots__ = ("high", "low", "server")

    def __init__(self, server: Server) -> None:
        self.server: Any = server
        self.high = server.high_water
        self.low = server.low_water

    def add(self, connections: list[Connection]) -> None:
        """Read from new connections."""
        raise NotImplementedError

    def send(self, connection: Connection, data: Any) -> None:
        """Send data, behind which nothing waits; what is not taken becomes connection.out.  TypeError for what has
        no bytes."""
        raise NotImplementedError

    def await_room(self, connection: Connection) -> None:
        """Send connection.out when there is room."""
        raise NotImplementedError

    def steer(self, connection: Connection, reading: bool) -> None:
        """Read from it, or read no more."""
        raise NotImplementedError

    def finish(self, connection: Connection) -> None:
        """connection.close_now() as soon as all is out."""
        raise NotImplementedError

    def remove(self, connection: Connection) -> None:
        """Forget it and close its descriptor; of one that is LINGERING announce the end, and close it when its
        client has."""
        raise NotImplementedError

    def listen(self, listener: Listener, backlog: int) -> None:
        """Accept from it."""
        raise NotImplementedError

    def unlisten(self, listener: Listener) -> None:
        """Accept no more; who was accepted before may still arrive."""
        raise NotImplementedError

    def accepts(self, listener: Listener | None = None) -> bool:
        """Whether somebody may still arrive at this listener, or at any, after unlisten()."""
        raise NotImplementedError

    def settle(self) -> bool:
        """Some time has passed: give back memory that the traffic of this time did not need.  False: more may be
        given back next time."""
        return True

    def turn(self) -> None:
        """Wait until something happens, and deal with all of it."""
        raise NotImplementedError

    def close(self) -> None:
        """Give back what it holds.  The connections are removed, or their descriptors closed, by the server."""
        raise NotImplementedError


class Connection(Handler):
    """A client, as its service sees it: id, peer, write(), close(), abort(), pause(), resume(), pending.

    Threads: all of it belongs to the thread that runs the server.
    """

    __slots__ = (
        "address", "driver", "fd", "flags", "flight", "id", "kind", "listener", "opened", "out", "place",
        "received", "seen", "sent", "slot", "stash", "thrown", "why", "work", "wrap",
    )  # fmt: skip

    def __init__(self, driver: Driver, listener: Any, fd: int, number: int) -> None:
        self.driver = driver
        self.listener: Any = listener
        self.fd = fd
        self.id = number
        """Counts the connections of its server, from 1."""
        self.kind = listener.service.kind
        self.work: Any = listener.service.make
        self.wrap: Any = None
        """What lies between the socket and the service, TLS for one: received(data) and seal(data)."""
        self.out: Outgoing | None = None
        self.stash: Any = None
        self.why: Any = None
        self.address: Any = None
        self.flags = SILENT if self.kind < CHARGEN else 0
        self.received = 0
        self.sent = 0
        self.opened = 0
        self.seen = 0
        self.slot = -1
        self.place = 0
        self.flight = 0
        self.thrown = -1
        """Bytes that came too late; below 0 while it does not linger."""

    # ---- for the service -----------------------------------------------------------------------------------

    @property
    def peer(self) -> str:
        """The client's address as HOST:PORT; 'unix' of one that came by a UNIX socket."""
        said: str = self.driver.server.peer_of(self)
        return said

    @property
    def pending(self) -> int:
        """Bytes that the client is owed and has not taken."""
        return 0 if self.out is None else self.out.size

    def write(self, data: Any) -> bool:
        """Send bytes, after what is owed already.  False when the client is owed more than the high-water mark:
        it is kept all the same, and can_write() tells when there is room again.  A connection that is closed, or
        closing, takes nothing."""
        if self.flags & (CLOSED | FINISHING):
            return False
        if not len(data):
            return not self.flags & FULL
        if self.wrap is not None:
            data = self.wrap.seal(data)
        self.push(data)
        return not self.flags & FULL

    def close(self) -> None:
        """Once the client has what it is owed."""
        self.finish(SERVICE)

    def abort(self) -> None:
        """At once, whatever it is owed."""
        self.drop(SERVICE)

    def is_closed(self) -> bool:
        """Whether it is, or is about to be."""
        return self.flags & (CLOSED | FINISHING) != 0

    def pause(self) -> None:
        """Read no more until resume().  With TLS what was read already still comes, by records: 64 KiB at most."""
        if not self.flags & HELD:
            self.flags |= HELD
            self.steer()

    def resume(self) -> None:
        """Read again."""
        if self.flags & HELD:
            self.flags &= ~HELD
            self.steer()

    # ---- for the driver ------------------------------------------------------------------------------------

    def begin(self) -> None:
        """It is accepted and read from: the service hears of it."""
        if self.kind == CALL or (UPPER <= self.kind < CHARGEN):
            return
        try:
            if self.kind == PROTOCOL:
                self.work = self.work()
                self.flags |= BEGUN
                hear = getattr(self.work, "connected", None)
                if hear is not None:
                    hear(self)
            else:
                self._speak()
        except BaseException as error:
            self.failed(error)

    def _speak(self) -> None:
        from knote.apps.speakers import block, daytime

        if self.kind == DAYTIME:
            self.write(daytime())
            self.finish(SERVICE)
        elif self.kind == CHARGEN and self.out is None and not self.flags & (CLOSED | ENDED):
            # Not sent from here: a client that reads as fast as we write would keep all others waiting.
            self.out = Outgoing()
            self.out.push(block() if self.wrap is None else self.wrap.seal(block()))
            self.driver.await_room(self)

    def took(self, data: bytes) -> None:
        """Bytes have come."""
        try:
            if self.wrap is not None:
                self.wrap.received(data)
            else:
                self.plain(data)
        except BaseException as error:
            self.failed(error)

    def plain(self, data: bytes) -> None:
        """Bytes as the client meant them."""
        if self.kind == CALL:
            reply = self.work(data)
            if reply is None or not len(reply):
                return
            if self.wrap is not None:
                reply = self.wrap.seal(reply)
            self.push(reply)
        elif self.kind == PROTOCOL:
            self.work.data(data)
        elif self.kind == UPPER:
            self.write(data.upper())
        elif self.kind == UPPER + 1:
            self.write(data)

    def push(self, data: Any) -> None:
        """Send it, or keep it behind what is kept already."""
        out = self.out
        if out is None:
            self.driver.send(self, data)
            out = self.out
        else:
            out.push(data)
        if out is not None and out.size > self.driver.high and not self.flags & FULL:
            self.flags |= FULL
            self.steer()

    def relieved(self) -> None:
        """It has taken some of what is kept."""
        out = self.out
        if out is not None and not out.size:
            self.out = out = None
        if self.flags & FULL and (out is None or out.size <= self.driver.low):
            self.flags &= ~FULL
            if self.kind == PROTOCOL and not self.flags & (FINISHING | CLOSED):
                hear = getattr(self.work, "can_write", None)
                if hear is not None:
                    try:
                        hear()
                    except BaseException as error:
                        self.failed(error)
            self.steer()
        if self.out is None and not self.flags & CLOSED:
            if self.flags & FINISHING:
                self.driver.finish(self)
            elif self.kind == CHARGEN:
                self._speak()

    def ended(self) -> None:
        """The client has shut down its sending side.  It may still read, so what it is owed goes out first."""
        self.flags |= ENDED
        if self.wrap is not None:
            self.wrap.ended()
        if self.flags & BEGUN and not self.flags & (FINISHING | CLOSED):
            hear = getattr(self.work, "eof", None)
            try:
                if hear is not None and hear():
                    self.steer()
                    return  # it has more to say
            except BaseException as error:
                self.failed(error)
                return
        if self.kind == CHARGEN:
            self.drop(CLIENT)  # it would be owed something for ever
        else:
            self.finish(CLIENT)

    def steer(self) -> None:
        """Have the driver read, or not, as the flags say."""
        reading = not self.flags & _DEAF
        if reading != (self.flags & READING != 0) and not self.flags & CLOSED:
            self.driver.steer(self, reading)

    def finish(self, why: str) -> None:
        """Close once all is out."""
        if not self.flags & (FINISHING | CLOSED):
            if self.wrap is not None:
                self.wrap.finish()
                if self.flags & CLOSED:
                    return
            self.flags |= FINISHING
            self.why = why
            if self.out is None:
                self.driver.finish(self)
            self.steer()

    def close_now(self) -> None:
        """All is out.  More may come in, unless the client has ended."""
        if not self.flags & (ENDED | CLOSED):
            self.flags |= LINGERING
        self.drop(self.why)

    def failed(self, error: BaseException) -> None:
        """The service did not do its part; what it made of the stream up to here is all there is."""
        if isinstance(error, KeyboardInterrupt):
            raise error  # the operator's, who means the server
        self.driver.server.service_failed(self, error)
        self.finish(FAILED)

    def drop(self, why: str) -> None:
        """Close it at once.  Closing twice is nothing."""
        if self.flags & CLOSED:
            return
        self.flags |= CLOSED
        self.out = None
        self.stash = None
        self.driver.server.gone(self, why)
        self.driver.remove(self)
        work = self.work
        self.work = self.wrap = None
        if self.kind == PROTOCOL:
            hear = getattr(work, "closed", None)
            if hear is not None and self.flags & BEGUN:
                try:
                    hear(why)
                except BaseException as error:
                    self.failed(error)
