"""knote.eventport under the loops of programs that were written for Solaris: nginx' and libev's, in Python."""

from __future__ import annotations

import errno
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from knote import eventport as ep
from tests.behaviour.ports import ERR, FD, HUP, IN, OUT, TIMER, USER, port
from tests.support.plumbing import Pipe
from tests.support.waiting import SOON

__all__ = ["port"]

MESSAGE = os.urandom(300_000)


class Event:
    """ngx_event_t: one direction of a connection."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.oneshot = self.closed = False
        self.handler: Callable[[], None] = lambda: None


class Connection:
    """ngx_connection_t; instance changes with each use of the record, for events of an earlier one."""

    def __init__(self) -> None:
        self.read, self.write = Event(self), Event(self)
        self.instance = 0
        self.sock = socket.socket()


class Nginx:
    """ngx_eventport_module: add and delete an event, process_events() with a timer that says that time has passed,
    notify().  A descriptor is closed without a word to the port."""

    def __init__(self, port: ep.Port) -> None:
        self.port = port
        self.timer = ep.timer_create(port, time.CLOCK_REALTIME)
        self.timer.settime(0.001, 0.001)
        self.updates = self.stale = 0

    def add(self, event: Event, bit: int) -> None:
        connection = event.connection
        other, its = (connection.write, OUT) if bit == IN else (connection.read, IN)
        asked = bit | its if other.oneshot else bit
        ep.port_associate(self.port, FD, connection.sock, asked, (event, connection.instance))
        event.oneshot = True

    def delete(self, event: Event, bit: int, closing: bool = False) -> None:
        connection = event.connection
        event.oneshot = False
        if closing:
            return
        other, its = (connection.write, OUT) if bit == IN else (connection.read, IN)
        if other.oneshot:
            ep.port_associate(self.port, FD, connection.sock, its, (other, connection.instance))
        else:
            ep.port_dissociate(self.port, FD, connection.sock)

    def notify(self, handler: Callable[[], None]) -> None:
        ep.port_send(self.port, 0, handler)

    def process(self) -> None:
        events, _ = ep.port_getn(self.port, 4, 1, SOON)
        for event in events:
            if event.portev_source == TIMER:
                self.updates += 1
            elif event.portev_source == USER:
                event.portev_user()
            else:
                self._ready(*event.portev_user, event.portev_events)

    def _ready(self, event: Event, instance: int, revents: int) -> None:
        connection = event.connection
        if connection.read.closed or connection.instance != instance:
            self.stale += 1
            return
        if revents & (ERR | HUP):
            revents |= IN | OUT
        wanted = [each for each in ((connection.read, IN), (connection.write, OUT)) if each[0].oneshot]
        for direction, _ in wanted:
            direction.oneshot = False
        for direction, bit in wanted:
            if direction.oneshot or connection.read.closed or connection.instance != instance:
                continue
            if revents & bit:
                direction.handler()
            else:
                self.add(direction, bit)


class NginxServer(Nginx):
    """An echo server of its events."""

    def __init__(self, port: ep.Port, listener: socket.socket) -> None:
        super().__init__(port)
        self.free: list[Connection] = []
        self.listening = Connection()
        self.listening.sock.close()
        self.listening.sock = listener
        self.listening.read.handler = self.accept
        self.running = True
        self.add(self.listening.read, IN)

    def accept(self) -> None:
        connection = self.free.pop() if self.free else Connection()
        connection.sock.close()
        connection.sock = self.listening.sock.accept()[0]
        connection.sock.setblocking(False)
        connection.instance ^= 1
        connection.read.closed = False
        data = bytearray()
        connection.read.handler = lambda: self.receive(connection, data)
        connection.write.handler = lambda: self.send(connection, data)
        self.add(connection.read, IN)
        self.add(self.listening.read, IN)

    def receive(self, connection: Connection, data: bytearray) -> None:
        more = connection.sock.recv(65536)
        if not more:
            for event, bit in ((connection.read, IN), (connection.write, OUT)):
                self.delete(event, bit, closing=True)
            connection.sock.close()
            connection.read.closed = True
            self.free.append(connection)
            return
        data += more
        self.send(connection, data)

    def send(self, connection: Connection, data: bytearray) -> None:
        try:
            del data[: connection.sock.send(data)]
        except BlockingIOError:
            pass
        if data:
            self.add(connection.write, OUT)
        elif not connection.read.oneshot:
            self.add(connection.read, IN)

    def run(self) -> None:
        while self.running:
            self.process()

    def stop(self) -> None:
        def end() -> None:
            self.running = False

        self.notify(end)

    def done(self) -> None:
        assert self.updates > 0
        self.timer.delete()
        self.delete(self.listening.read, IN)
        for connection in self.free:
            connection.sock.close()


class Libev:
    """ev_port.c: watchers by descriptor; what was retrieved is associated anew before the next wait, for all that
    is wanted then; the room for events doubles when it was used up; EBADFD kills a descriptor's watchers."""

    def __init__(self, port: ep.Port) -> None:
        self.port = port
        self.wanted: dict[int, int] = {}
        self.told: dict[int, int] = {}
        self.changed: dict[int, None] = {}
        self.calls: dict[int, Callable[[int], None]] = {}
        self.killed: list[int] = []
        self.room = 1

    def start(self, fd: int, events: int, call: Callable[[int], None]) -> None:
        self.wanted[fd] = events
        self.calls[fd] = call
        self.changed[fd] = None

    def stop(self, fd: int) -> None:
        self.wanted.pop(fd, None)
        self.changed[fd] = None

    def poll(self, seconds: float) -> bool:
        """One turn; False when the time is up."""
        changed, self.changed = self.changed, {}
        for fd in changed:
            self._modify(fd, self.told.pop(fd, 0), self.wanted.get(fd, 0))
        expired = False
        try:
            events, _ = ep.port_getn(self.port, self.room, 1, seconds)
        except ep.TimeExpired as error:
            events = error.events
            expired = True
        for event in events:
            if event.portev_source == FD:
                fd = event.portev_object
                self.told[fd] = 0
                self.changed[fd] = None
                both = IN | OUT if event.portev_events & (ERR | HUP) else 0
                if fd in self.wanted:
                    self.calls[fd]((event.portev_events | both) & self.wanted[fd])
        if len(events) == self.room:
            self.room *= 2
        return not expired

    def _modify(self, fd: int, old: int, new: int) -> None:
        if new:
            try:
                ep.port_associate(self.port, FD, fd, new)
                self.told[fd] = new
            except OSError as error:
                if error.errno != errno.EBADFD:
                    raise
                del self.wanted[fd]
                self.killed.append(fd)
        elif old:
            try:
                ep.port_dissociate(self.port, FD, fd)
            except FileNotFoundError:
                pass  # it was closed, which dissociates; libev does not look


class LibevServer(Libev):
    """An echo server of its watchers."""

    def __init__(self, port: ep.Port, listener: socket.socket) -> None:
        super().__init__(port)
        self.listener = listener
        self.running = True
        self.waker = Pipe()
        self.start(listener.fileno(), IN, self.accept)
        self.start(self.waker.r, IN, self.woken)

    def accept(self, _: int) -> None:
        sock = self.listener.accept()[0]
        sock.setblocking(False)
        data = bytearray()
        self.start(sock.fileno(), IN, lambda events: self.ready(sock, data, events))

    def ready(self, sock: socket.socket, data: bytearray, events: int) -> None:
        if events & IN:
            more = sock.recv(65536)
            if not more:
                self.stop(sock.fileno())
                sock.close()
                return
            data += more
        if events & OUT:
            del data[: sock.send(data)]
        self.wanted[sock.fileno()] = OUT if data else IN

    def woken(self, _: int) -> None:
        self.running = False

    def run(self) -> None:
        while self.running:
            assert self.poll(SOON)

    def end(self) -> None:
        self.waker.write(b"x")

    def done(self) -> None:
        assert self.wanted.keys() == {self.listener.fileno(), self.waker.r}
        assert self.room > 1
        self.waker.close()


@contextmanager
def running(call: Callable[[], None], end: Callable[[], None]) -> Iterator[None]:
    thread = threading.Thread(target=call)
    thread.start()
    try:
        yield
    finally:
        end()
        thread.join(2 * SOON)
        assert not thread.is_alive()


def echoed(address: Any, message: bytes) -> None:
    """A client that says it all, reads it back, and sees the end."""
    with socket.create_connection(address, SOON) as client:
        sender = threading.Thread(target=client.sendall, args=(message,))
        sender.start()
        got = bytearray()
        while len(got) < len(message):
            got += client.recv(65536)
        sender.join()
        assert got == message
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""


@pytest.mark.parametrize("several", [False, True])
def test_nginx(port: ep.Port, tcp_listener: socket.socket, several: bool) -> None:
    server = NginxServer(port, tcp_listener)
    with running(server.run, server.stop):
        served(tcp_listener.getsockname(), several)
    server.done()


@pytest.mark.parametrize("several", [False, True])
def test_libev(port: ep.Port, tcp_listener: socket.socket, several: bool) -> None:
    server = LibevServer(port, tcp_listener)
    with running(server.run, server.end):
        served(tcp_listener.getsockname(), several)
    server.done()


def served(address: Any, several: bool) -> None:
    """One client after another, or at a time: numbers are used again in both."""
    if not several:
        for _ in range(3):
            echoed(address, MESSAGE)
        return
    failed: list[BaseException] = []

    def client() -> None:
        try:
            for _ in range(3):
                echoed(address, MESSAGE[:100_000])
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed


def test_nginx_closes_without_a_word(port: ep.Port) -> None:
    """An event of a number's earlier life is not delivered, or is known by its instance."""
    loop = Nginx(port)
    loop.timer.settime(0)
    one, other = socket.socketpair()
    connection = Connection()
    connection.sock.close()
    connection.sock = one
    loop.add(connection.read, IN)
    other.send(b"x")
    number = one.fileno()
    loop.delete(connection.read, IN, closing=True)
    one.close()
    connection.sock, peer = socket.socketpair()
    assert connection.sock.fileno() == number
    connection.instance ^= 1
    hits: list[int] = []
    connection.read.handler = lambda: hits.append(1)
    loop.add(connection.read, IN)
    loop.notify(lambda: None)
    loop.process()
    assert (hits, loop.stale) == ([], 0)
    peer.send(b"x")
    loop.process()
    assert hits == [1]
    loop.timer.delete()
    for sock in (other, connection.sock, peer):
        sock.close()


def test_libev_kills_what_was_closed(port: ep.Port, pipe: Pipe) -> None:
    """EBADFD: port_associate(3C) of a number that is closed; and the time is up for the others."""
    loop = Libev(port)
    loop.start(pipe.r, IN, lambda _: None)
    closed = os.dup(pipe.r)
    loop.start(closed, IN, lambda _: None)
    os.close(closed)
    assert not loop.poll(0.001)
    assert loop.killed == [closed]
    assert list(loop.wanted) == [pipe.r]
