# cython: annotation_typing=False
"""The driver on a ring (io_uring(7)): a turn is one system call, in which the answers of the turn before go out
and what has come is received.

Facts, and what follows:

* A multishot receive names the buffer that it took; a pool of them serves all connections, and grows when it ran
  dry (ENOBUFS ends the receive, which is begun again).
* Answers are sent without waiting, from the buffer where they were made or from the bytes of the service; once the
  call is over only what was cut short has a completion, and that is looked at before anything else, since behind
  it nothing may be sent first.  So one send of a connection is prepared at a time; more wait in its Outgoing, and
  are sent by an operation that waits for room.
* What is under way holds the open file: close(2) alone would neither end it nor tell the peer.  A connection with
  something under way is shut down, and closed when that is over; a listener's accept is cancelled and waited for.
* A completion has a number as its token: the operation, the descriptor, and for a send which one.  No descriptor
  is closed before everything of it is over, so a token never means another connection.
"""

from __future__ import annotations

import errno
import os
from socket import SHUT_RDWR, SHUT_WR
from typing import TYPE_CHECKING, Any

from knote._kernel.stream import shut
from knote._kernel.time import close_fd, run_signal_handlers
from knote.apps import ring_pool
from knote.apps.connection import Connection, Driver
from knote.apps.ends import SHARE, Ends
from knote.apps.kept import Kept
from knote.apps.outgoing import Outgoing
from knote.apps.ring_doors import Doors
from knote.apps.ring_pool import SIZE
from knote.apps.ring_queue import Polled
from knote.apps.service import ECHO, UPPER
from knote.apps.states import (
    ARMED,
    AWAITED,
    CLOSED,
    CROWDED,
    FINISHING,
    LINGERING,
    OVER,
    READING,
    RESET,
    SILENT,
    SLOW,
)

if TYPE_CHECKING:
    from knote import kqueue
    from knote._kernel.flow import Flow
    from knote.apps.listener import Listener
    from knote.apps.server import Server
    from knote.apps.wheel import Wheel
    from knote.ring import Ring

NOTHING, QUEUE, ACCEPT, RECEIVE, SEND, ROOM = range(6)
_EAGAIN = errno.EAGAIN
_EBUSY = errno.EBUSY
_ECANCELED = errno.ECANCELED
_EINTR = errno.EINTR
_ENOBUFS = errno.ENOBUFS


class Streams(Driver):
    """Accepts, receives and sends through one ring; the kqueue, whose descriptor the ring polls, brings all else.

    The ring is opened by the thread that runs the server, which is the only one that may use it.
    """

    __slots__ = (
        "_batch", "_closing", "_doors", "_dry", "_ends", "_first", "_flow", "_flying",
        "_kept", "_later", "_open", "_queue", "_ring", "_table", "_wheel",
    )  # fmt: skip

    def __init__(self, server: Server, kq: kqueue, wheel: Wheel) -> None:
        Driver.__init__(self, server)
        self._wheel = wheel
        self._queue = Polled(kq)
        self._ring: Ring | None = None
        self._flow: Flow | None = None
        self._table: list[Connection | None] = []
        """Connections, by descriptor."""
        self._open = 0
        self._batch = 1
        """Counts submissions: a connection with this number as its flight has a send that is not submitted yet."""
        self._doors = Doors(server, ACCEPT << 56, NOTHING << 56)
        self._later: list[Connection] = []
        """More is to be sent when what is prepared has gone out."""
        self._closing: list[Connection] = []
        """To be finished, or closed, when what is prepared has gone out."""
        self._kept = Kept()
        self._ends = Ends()
        self._dry: list[Connection] = []
        """Found no buffer; behind the first ones those beside which others do not."""
        self._first = 0
        self._flying: dict[int, bytes] = {}
        """What the kernel sends from while it waits for room."""

    def turn(self) -> None:
        """Driver.turn()."""
        if self._ring is None:
            self._ring, self._flow = ring_pool.opened()
            self._doors.begin(self._flow)
        flow = self._flow
        assert flow is not None
        self._queue.poll(flow, QUEUE << 56)
        doors = self._doors
        busy = self._later or self._closing or self._kept.some or self._dry or self._ends.some or doors.arrived
        self._submit(0 if busy else 1)
        n = flow.reap(self._ends.some)
        for i in range(n):
            token = flow.token(i)
            if token >> 56 == SEND:
                self._cut_short(token, flow.result(i))
        flow.recycle()
        if self._later or self._closing or self._dry:
            self._go_on()
        if self._ends.some:
            # Here, where the answers of the turn before are out and those of this one are not made yet.
            for connection in self._ends.take():
                self._kept.ended(connection)
        for i in range(n):
            token = flow.token(i)
            op = token >> 56
            if op == RECEIVE:
                self._received(token & 0x7FFFFFFF, flow.result(i), flow.buffer(i), flow.more(i))
            elif op == ROOM:
                self._room(token & 0x7FFFFFFF, flow.result(i))
            elif op == ACCEPT:
                doors.accepted(token & 0x7FFFFFFF, flow.result(i), flow.more(i))
            elif op == QUEUE:
                self._queue.deliver()
        if doors.arrived:
            self.server.arrived(doors.share())
        if self._kept.some:
            for connection in self._kept.serve():
                self._arm(connection)

    def _submit(self, wait: int) -> None:
        flow = self._flow
        assert flow is not None
        rc = flow.submit(wait)
        self._batch += 1
        if rc < 0:
            if rc == -_EINTR:
                run_signal_handlers(False)
            elif rc not in (-_EBUSY, -_EAGAIN):
                raise OSError(-rc, f"io_uring_enter: {os.strerror(-rc)}")
            else:
                self._batch -= 1  # not all is submitted: completions are to be reaped first

    def _go_on(self) -> None:
        later, self._later = self._later, []
        for connection in later:
            if not connection.flags & (AWAITED | CLOSED) and connection.out is not None:
                self._launch(connection)
        closing = self._closing[:SHARE]
        del self._closing[:SHARE]
        for connection in closing:
            if connection.flags & CLOSED:
                self._part(connection)
            elif connection.out is None:
                connection.close_now()
        dry, flow = self._dry, self._flow
        if dry and flow is not None:
            ring_pool.more(flow, self._open)
            most, self._first = self._first + ring_pool.CROWD, 0
            self._dry = dry[most:]
            for connection in dry[:most]:
                self._arm(connection)

    # ---- receiving -----------------------------------------------------------------------------------------

    def _received(self, fd: int, count: int, bid: int, more: bool) -> None:
        flow = self._flow
        assert flow is not None
        connection = self._table[fd]
        assert connection is not None
        if not more:
            connection.flags &= ~ARMED
        if connection.flags & LINGERING and not self._is_welcome(connection, count):
            connection.flags &= ~LINGERING
            self._part(connection)  # closed now, or when the receive that is under way has ended
        if count > 0:
            connection.received += count
            connection.seen = self._wheel.now
            if count < SIZE:
                connection.flags &= ~(SILENT | CROWDED)
            else:
                if more and not connection.flags & CROWDED:  # it is to fill them one at a time
                    flow.cancel((RECEIVE << 56) | fd, False, NOTHING << 56)
                connection.flags = connection.flags & ~SILENT | CROWDED
            kind = connection.kind
            if not connection.flags & READING:
                if not connection.flags & (CLOSED | FINISHING):
                    self._kept.keep(connection, flow.take(bid, count))
                flow.give(bid)
            elif kind < UPPER or connection.wrap is not None or connection.stash is not None:
                data = flow.take(bid, count)
                flow.give(bid)
                if connection.stash is not None:
                    self._kept.keep(connection, data)
                else:
                    connection.took(data)
            elif kind > ECHO:
                flow.give(bid)
            else:
                if kind == UPPER:
                    flow.upper(bid, count)
                if connection.out is None and connection.flight != self._batch:
                    connection.flight = self._batch
                    connection.sent += count
                    if flow.send_buffer(fd, bid, count, (SEND << 56) | fd) < 0:
                        connection.drop(RESET)
                else:
                    data = flow.take(bid, count)
                    flow.give(bid)
                    connection.push(data)
        else:
            if bid >= 0:
                flow.give(bid)
            if count == -_ENOBUFS:
                connection.flags |= CROWDED
                self._dry.insert(self._first, connection)
                self._first += 1
            elif count == 0 or (count != -_ECANCELED and count != -_EAGAIN and count != -_EINTR):
                self._ends.add(connection, count == 0)
        if not more:
            if connection.flags & CLOSED:
                self._part(connection)
            elif connection.flags & CROWDED and count > 0:
                self._dry.append(connection)  # behind those that have waited for longer
            elif count != 0 and count != -_ENOBUFS:
                self._arm(connection)

    def _is_welcome(self, connection: Connection, count: int) -> bool:
        if count > 0:
            return bool(self.server.lingering.came(connection, count))
        return count in (-_ENOBUFS, -_ECANCELED, -_EAGAIN, -_EINTR)

    def _arm(self, connection: Connection) -> None:
        flow = self._flow
        if flow is None or connection.flags & (ARMED | CLOSED | OVER) or not connection.flags & READING:
            return
        if connection.stash is None:
            connection.flags |= ARMED
            # Of one that has been read from faster than it reads, or beside which others found no buffer, one at a
            # time: a multishot receive fills 32 of them before it can be told to stop, or the others have a turn.
            once = connection.flags & (SLOW | CROWDED) != 0
            if flow.receive(connection.fd, once, (RECEIVE << 56) | connection.fd) < 0:
                connection.flags &= ~ARMED
                self._dry.append(connection)  # the queue is full: again after the next turn

    # ---- sending -------------------------------------------------------------------------------------------

    def send(self, connection: Connection, data: Any) -> None:
        """Driver.send()."""
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        flow = self._flow
        if flow is None or connection.flight == self._batch:
            connection.out = Outgoing()
            connection.out.push(data)
            self._later.append(connection)
            return
        connection.flight = self._batch
        connection.sent += len(data)
        if flow.send_bytes(connection.fd, data, (SEND << 56) | connection.fd) < 0:
            connection.drop(RESET)

    def _cut_short(self, token: int, result: int) -> None:
        connection = self._table[token & 0x7FFFFFFF]
        if connection is None or connection.flags & CLOSED:
            return
        flow = self._flow
        assert flow is not None
        if result < 0 and result != -_EAGAIN and result != -_EINTR:
            connection.drop(RESET)
            return
        rest = flow.unsent((token >> 32) & 0xFFFFFF, max(result, 0))
        connection.sent -= len(rest)
        if connection.out is None:
            connection.out = Outgoing()
        connection.out.push_first(rest)
        connection.push(b"")  # which sees how much it is by now
        if connection.out is not None:
            self._launch(connection)

    def await_room(self, connection: Connection) -> None:
        """Driver.await_room()."""
        if connection.flags & AWAITED:
            return
        if self._flow is None or connection.flight == self._batch:
            self._later.append(connection)
        else:
            self._launch(connection)

    def _launch(self, connection: Connection) -> None:
        out = connection.out
        flow = self._flow
        if out is None or flow is None or connection.flags & AWAITED:
            return
        data = out.head()
        connection.flags |= AWAITED
        self._flying[connection.fd] = data
        if flow.send_rest(connection.fd, data, out.skipped(), (ROOM << 56) | connection.fd) < 0:
            connection.flags &= ~AWAITED
            self._later.append(connection)

    def _room(self, fd: int, count: int) -> None:
        connection = self._table[fd]
        assert connection is not None
        connection.flags &= ~AWAITED
        self._flying.pop(fd, None)
        out = connection.out
        if connection.flags & CLOSED:
            self._part(connection)
        elif count < 0 and count not in (-_EAGAIN, -_EINTR):
            connection.drop(RESET)
        elif out is not None:
            if count > 0:
                connection.sent += count
                connection.seen = self._wheel.now
                out.taken(count)
            connection.relieved()
            if connection.out is not None:
                self.await_room(connection)

    def finish(self, connection: Connection) -> None:
        """Driver.finish()."""
        if connection.flight == self._batch:
            self._closing.append(connection)
        else:
            connection.close_now()

    # ---- coming and going ----------------------------------------------------------------------------------

    def add(self, connections: list[Connection]) -> None:
        """Driver.add()."""
        table = self._table
        for connection in connections:
            while len(table) <= connection.fd:
                table.append(None)
            table[connection.fd] = connection
            self._open += 1
            connection.flags |= READING
            self._arm(connection)

    def steer(self, connection: Connection, reading: bool) -> None:
        """Driver.steer()."""
        flow = self._flow
        if reading:
            connection.flags |= READING
            if connection.stash is not None:
                self._kept.resume(connection)
            else:
                self._arm(connection)
        else:
            connection.flags = connection.flags & ~READING | SLOW
            if connection.flags & ARMED and not connection.flags & FINISHING and flow is not None:
                flow.cancel((RECEIVE << 56) | connection.fd, False, NOTHING << 56)

    def remove(self, connection: Connection) -> None:
        """Driver.remove()."""
        connection.flags &= ~READING
        if connection.flight == self._batch:
            self._closing.append(connection)
        else:
            self._part(connection)

    def _part(self, connection: Connection) -> None:
        if connection.fd < 0 or connection.fd >= len(self._table) or self._table[connection.fd] is not connection:
            return
        if connection.flags & LINGERING and self._linger(connection):
            return
        if connection.flags & (ARMED | AWAITED):
            shut(connection.fd, SHUT_RDWR)  # what is under way ends by itself
            return
        self._table[connection.fd] = None
        self._open -= 1
        close_fd(connection.fd)
        self.server.freed(connection)

    def _linger(self, connection: Connection) -> bool:
        # Whether there is something to wait for: what comes is thrown away, until the end or an error does.
        flow = self._flow
        if connection.thrown < 0:
            connection.thrown = 0
            if shut(connection.fd, SHUT_WR) < 0 or flow is None or not self.server.lingering.begin(connection):
                connection.flags &= ~LINGERING
                return False
        if not connection.flags & ARMED and flow is not None:
            if flow.receive(connection.fd, True, (RECEIVE << 56) | connection.fd) < 0:
                connection.flags &= ~LINGERING
                return False
            connection.flags |= ARMED
        return True

    def listen(self, listener: Listener, backlog: int) -> None:
        """Driver.listen()."""
        if listener.shared:
            self._queue.listen(listener)
        else:
            self._doors.listen(listener)

    def unlisten(self, listener: Listener) -> None:
        """Driver.unlisten()."""
        if listener.shared:
            self._queue.unlisten(listener)
        else:
            self._doors.unlisten(listener)

    def accepts(self, listener: Listener | None = None) -> bool:
        """Driver.accepts()."""
        return self._doors.are_open() if listener is None else self._doors.is_open(listener.fd)

    def settle(self) -> bool:
        """Driver.settle()."""
        if not self._open:
            self._table.clear()
        return self._flow is None or ring_pool.fewer(self._flow)

    def close(self) -> None:
        """Driver.close()."""
        flow, ring = self._flow, self._ring
        if flow is None or ring is None:
            return
        self._doors.close()
        # Memory of what is under way is still written to, and files of it are held: everything is waited for.
        flow.cancel(0, True, NOTHING << 56)
        while self._open or self._doors.are_open():
            self._submit(0 if self._closing else 1)
            n = flow.reap(False)
            self._go_on()
            for i in range(n):
                fd, op = flow.token(i) & 0x7FFFFFFF, flow.token(i) >> 56
                if op == RECEIVE:
                    self._received(fd, min(flow.result(i), 0), -1, flow.more(i))
                elif op == ROOM:
                    self._room(fd, flow.result(i))
                elif op == ACCEPT:
                    self._doors.too_late(fd, flow.result(i), flow.more(i))
        self._ring = self._flow = None
        ring.close()
        flow.close()
        self._queue.close()
