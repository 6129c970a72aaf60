# cython: annotation_typing=False
"""The driver on readiness: the kqueue says who can be read, and each is received from and sent to at once.

A turn collects into records that are used again, so no kevent is made for an event; the socket is known by its
number alone, and one buffer receives for all.
"""

from __future__ import annotations

import errno
from socket import SHUT_WR
from typing import TYPE_CHECKING, Any

from knote import (
    EV_ADD,
    EV_DELETE,
    EV_DISABLE,
    EV_ENABLE,
    EV_KEEPUDATA,
    EVFILT_READ,
    EVFILT_WRITE,
    NOTE_NODATA,
    kevent,
)
from knote._kernel.stream import Room, send_one, shut
from knote._kernel.time import close_fd
from knote.apps.connection import Connection, Driver
from knote.apps.ends import Ends
from knote.apps.outgoing import Outgoing
from knote.apps.service import ECHO, UPPER
from knote.apps.states import AWAITED, CLOSED, ENDED, LINGERING, OVER, READING, RESET, SILENT, WHOLE
from knote.harvest import Harvest

if TYPE_CHECKING:
    from knote import kqueue
    from knote.apps.listener import Listener
    from knote.apps.server import Server
    from knote.apps.wheel import Wheel

RECEIVE = 65536
"""The most that is read at once: one client's turn."""
EVENTS = 1024
"""Collected at once."""
_EAGAIN = errno.EAGAIN
_EINTR = errno.EINTR


class Ready(Driver):
    """A READ knote for each connection; a WRITE knote only while a client has not taken all of its reply."""

    __slots__ = ("_control", "_ends", "_harvest", "_kq", "_room", "_wheel", "patience")

    def __init__(self, server: Server, kq: kqueue, wheel: Wheel) -> None:
        Driver.__init__(self, server)
        self._kq = kq
        self._control: Any = kq.control
        self._ends = Ends()
        self._harvest = Harvest()
        self._room = Room(RECEIVE)
        self._wheel = wheel
        self.patience = -1
        """How long a turn waits, in nanoseconds: for ever, or not at all where another queue watches this one."""

    def turn(self) -> None:
        """Driver.turn()."""
        harvest = self._harvest
        n = self._kq._home().reap(harvest, EVENTS, 0 if self._ends.some else self.patience)
        events = harvest.events  # not before: a call that makes the first ones makes their list
        for i in range(n):
            event = events[i]
            handler: Any = event._udata
            if type(handler) is not Connection:
                handler.ready(event)
            elif event._filter == EVFILT_READ:
                self._receive(handler)
            else:
                self._flush(handler)
        for i in range(n):
            event = events[i]
            event._udata = None
        while self._ends.some:
            for connection in self._ends.take():
                if connection.flags & READING:
                    connection.ended()
                elif not connection.flags & CLOSED:
                    # Paused meanwhile: it will be reported again.
                    connection.flags &= ~(OVER | WHOLE)
                    add = EV_ADD | EV_DISABLE
                    self._change(connection, kevent(connection.fd, EVFILT_READ, add, NOTE_NODATA, 0, connection))
            if self.patience < 0:
                break  # the others in the next turn; of that one whoever watches this queue would know nothing

    def _receive(self, connection: Connection) -> None:
        # One receive per event, so that a client that sends much does not keep the others waiting; by level the
        # rest comes with the next turn.  Closed by an event before this one, it is no more READING.
        if connection.flags & (READING | LINGERING) != READING:
            if connection.flags & LINGERING:
                self._throw_away(connection)
            return
        if connection.flags & OVER:
            return  # by an event that was collected together with that of its end
        count = self._room.receive(connection.fd)
        if count <= 0:
            if count != -_EAGAIN and count != -_EINTR:
                # By level it would come back until it is closed.
                self._delete(connection.fd, EVFILT_READ)
                self._ends.add(connection, count == 0)
            return
        connection.received += count
        connection.seen = self._wheel.now
        connection.flags &= ~SILENT
        kind = connection.kind
        if kind < UPPER or connection.wrap is not None:
            connection.took(self._room.take(0, count))
        elif kind <= ECHO:
            if kind == UPPER:
                self._room.upper(count)
            if connection.out is not None:
                connection.push(self._room.take(0, count))
                return
            sent = self._room.send(connection.fd, count)
            if sent == count:
                connection.sent += count
            elif sent >= 0 or sent == -_EAGAIN or sent == -_EINTR:
                sent = max(sent, 0)
                connection.sent += sent
                connection.out = Outgoing()
                self.await_room(connection)
                connection.push(self._room.take(sent, count))
            else:
                connection.drop(RESET)

    def _flush(self, connection: Connection) -> None:
        out = connection.out
        if out is None:
            return
        count = out.send(connection.fd)
        if count < 0:
            if count != -_EAGAIN and count != -_EINTR:
                connection.drop(RESET)
            return
        connection.sent += count
        connection.seen = self._wheel.now
        connection.relieved()
        if connection.out is None and connection.flags & AWAITED and not connection.flags & CLOSED:
            connection.flags &= ~AWAITED
            self._change(connection, kevent(connection.fd, EVFILT_WRITE, EV_DELETE))

    def add(self, connections: list[Connection]) -> None:
        """Driver.add()."""
        for connection in connections:
            connection.flags |= READING
        try:
            self._control([self._arrival(connection) for connection in connections], 0)
        except OSError:
            # One was refused, and those after it were not tried; adding the others again changes nothing.
            for connection in connections:
                self._change(connection, self._arrival(connection))

    def _arrival(self, connection: Connection) -> kevent:
        # NODATA: a receive says how much there was, so nobody asks before.
        return kevent(connection.fd, EVFILT_READ, EV_ADD, NOTE_NODATA, 0, connection)

    def send(self, connection: Connection, data: Any) -> None:
        """Driver.send()."""
        sent = send_one(connection.fd, data)
        count = memoryview(data).nbytes if type(data) is not bytes else len(data)
        if sent == count:
            connection.sent += count
        elif sent >= 0 or sent == -_EAGAIN or sent == -_EINTR:
            sent = max(sent, 0)
            connection.sent += sent
            connection.out = Outgoing()
            connection.out.push(memoryview(data)[sent:] if sent else data)
            self.await_room(connection)
        else:
            connection.drop(RESET)

    def await_room(self, connection: Connection) -> None:
        """Driver.await_room()."""
        if not connection.flags & AWAITED:
            connection.flags |= AWAITED
            self._change(connection, kevent(connection.fd, EVFILT_WRITE, EV_ADD, NOTE_NODATA, 0, connection))

    def steer(self, connection: Connection, reading: bool) -> None:
        """Driver.steer()."""
        if connection.flags & OVER:  # and has no knote any more
            connection.flags = connection.flags | READING if reading else connection.flags & ~READING
        elif reading:
            connection.flags |= READING
            self._change(connection, kevent(connection.fd, EVFILT_READ, EV_ENABLE | EV_KEEPUDATA, NOTE_NODATA))
        else:
            connection.flags &= ~READING
            # What has ended would go on being reported, and disabled it still is, once.
            what = EV_DELETE if connection.flags & ENDED else EV_DISABLE | EV_KEEPUDATA
            self._change(connection, kevent(connection.fd, EVFILT_READ, what, NOTE_NODATA))

    def finish(self, connection: Connection) -> None:
        """Driver.finish()."""
        connection.close_now()

    def _change(self, connection: Connection, change: kevent) -> None:
        if connection.flags & CLOSED:
            return
        try:
            self._control([change], 0)
        except OSError as error:
            # No memory for it, for one: this client cannot be served, the others can.
            self.server.unwatchable(connection, error)

    def remove(self, connection: Connection) -> None:
        """Driver.remove()."""
        if connection.flags & LINGERING:
            if self._linger(connection):
                return
            connection.flags &= ~LINGERING
        # Closing alone would do, unless a child of the service holds a copy of the descriptor: then the kernel
        # keeps reporting a number that is no longer ours (epoll(7), Q6).
        if not connection.flags & OVER and connection.flags & (READING | ENDED) != ENDED:
            self._delete(connection.fd, EVFILT_READ)
        if connection.flags & AWAITED:
            self._delete(connection.fd, EVFILT_WRITE)
        connection.flags &= ~(READING | AWAITED)
        close_fd(connection.fd)
        self.server.freed(connection)

    def _linger(self, connection: Connection) -> bool:
        # Whether there is something to wait for.
        if shut(connection.fd, SHUT_WR) < 0:
            return False
        try:
            self._control([kevent(connection.fd, EVFILT_READ, EV_ADD | EV_ENABLE, NOTE_NODATA, 0, connection)], 0)
        except OSError:
            return False  # no memory for it
        connection.flags &= ~OVER
        if not self.server.lingering.begin(connection):
            return False
        connection.thrown = 0
        connection.flags |= READING
        return True

    def _throw_away(self, connection: Connection) -> None:
        count = self._room.receive(connection.fd)
        if count == -_EAGAIN or count == -_EINTR:
            return
        if count <= 0 or not self.server.lingering.came(connection, count):
            connection.flags &= ~LINGERING
            self.remove(connection)

    def _delete(self, fd: int, number: int) -> None:
        try:
            self._control([kevent(fd, number, EV_DELETE)], 0)
        except OSError:
            pass  # ENOENT: the kqueue has seen the end of it before us, and the knote is gone as it should be

    def listen(self, listener: Listener, backlog: int) -> None:
        """Driver.listen()."""
        self._control([kevent(listener.fd, EVFILT_READ, EV_ADD | EV_ENABLE, 0, 0, listener)], 0)

    def unlisten(self, listener: Listener) -> None:
        """Driver.unlisten()."""
        self._control([kevent(listener.fd, EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, listener)], 0)

    def accepts(self, listener: Listener | None = None) -> bool:
        """Driver.accepts()."""
        return False

    def close(self) -> None:
        """Driver.close()."""
        for event in self._harvest.events:
            event._udata = None
