"""How much one turn of a server may have to do: everybody else waits for so long."""

from __future__ import annotations

import fcntl
import gc
import socket
import struct
import termios
from contextlib import ExitStack
from typing import Any

import pytest

from knote.apps.ends import SHARE
from knote.apps.ring_pool import FIRST_BUFFERS, SIZE
from knote.apps.server import Server
from tests.apps.programs import dial, exactly, serving
from tests.support.waiting import wait_until

FLOODERS = 60
MOST = 2 * FIRST_BUFFERS * SIZE
"""Bytes of a turn: what the buffers hold, of which there are as many for a few connections."""


def all_that_is_taken(sock: socket.socket) -> int:
    """Send until the kernel takes no more; how many bytes it took."""
    sock.setblocking(False)
    block, sent = bytes(1 << 16), 0
    try:
        while True:
            sent += sock.send(block)
    except BlockingIOError:
        return sent


@pytest.mark.needs("a server's ring")
def test_many_that_send_without_end_share_a_turn() -> None:
    """A multishot receive takes 32 buffers of each of them before it lets go: it was 8 MiB in the first turns."""
    with Server(service="discard", engine="ring") as server, ExitStack() as stack:
        socks = [stack.enter_context(dial(server)) for _ in range(FLOODERS)]
        while len(server) < FLOODERS:
            server.driver.turn()
        sent = sum(map(all_that_is_taken, socks))
        assert sent > 4 * MOST
        turns, before = [], 0
        while before < sent:
            server.driver.turn()
            received = sum(each.received for each in server.connections.values())
            turns.append(received - before)
            before = received
        assert before == sent
        assert max(turns) <= MOST
        # Who asks for little is received from as before.
        asker = stack.enter_context(dial(server))
        while len(server) == FLOODERS:
            server.driver.turn()
        (last,) = (each for each in server.connections.values() if each.id > FLOODERS)
        asker.sendall(b"x")
        while not last.received:
            server.driver.turn()


ENGINES = [pytest.param("ring", marks=pytest.mark.needs("a server's ring")), "epoll"]
CROWD = 20 * SHARE
_TCP_CLOSE, _TCP_CLOSE_WAIT = 7, 8
"""What the kernel calls a connection that was reset, and one whose client has ended (<linux/tcp_states.h>)."""


def state(fd: int) -> int:
    """Of a TCP socket."""
    sock = socket.socket(fileno=fd)
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0]
    finally:
        sock.detach()


def unread(fd: int) -> int:
    """Bytes that have come and nobody has received."""
    return int(struct.unpack("i", fcntl.ioctl(fd, termios.FIONREAD, bytes(4)))[0])


def every_second_one_resets(socks: list[socket.socket]) -> None:
    """All are closed."""
    for number, sock in enumerate(socks):
        if number % 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()


@pytest.mark.parametrize("driver", ENGINES)
def test_many_that_end_at_once_keep_nobody_waiting(driver: str) -> None:
    """A turn closes a few of them: who asks meanwhile is answered as if they were silent."""
    with Server(service="upper", engine=driver) as server, ExitStack() as stack:
        socks = [stack.enter_context(dial(server)) for _ in range(CROWD)]
        while len(server) < CROWD:
            server.driver.turn()
        asker = stack.enter_context(dial(server))
        while len(server) == CROWD:
            server.driver.turn()
        ending = [fd for fd, each in server.connections.items() if each.id <= CROWD]
        (asking,) = server.connections.keys() - set(ending)
        every_second_one_resets(socks)
        wait_until(lambda: all(state(fd) in (_TCP_CLOSE, _TCP_CLOSE_WAIT) for fd in ending))
        asker.sendall(b"x")
        wait_until(lambda: unread(asking))
        asker.setblocking(False)
        answered = -1
        while len(server) > 1:
            before = len(server)
            server.driver.turn()
            assert before - len(server) <= SHARE
            if answered < 0:
                try:
                    assert asker.recv(1) == b"X"
                    answered = len(server)
                except BlockingIOError:
                    pass
        assert answered > CROWD // 2


def test_of_a_queue_that_another_one_watches_all_ends_are_one_turns() -> None:
    """--admin's: it has turns only while the queue has events, and an end that waits is none."""
    with Server(service="upper", engine="epoll") as server, ExitStack() as stack:
        socks = [stack.enter_context(dial(server)) for _ in range(3 * SHARE)]
        while len(server) < len(socks):
            server.driver.turn()
        ending = list(server.connections)
        every_second_one_resets(socks)
        wait_until(lambda: all(state(fd) in (_TCP_CLOSE, _TCP_CLOSE_WAIT) for fd in ending))
        driver: Any = server.driver
        driver.patience = 0
        driver.turn()
        assert len(server) == 0


class Hesitant:
    """A protocol that pauses at the first byte."""

    made: Any = None

    def connected(self, connection: Any) -> None:
        """Remember it."""
        Hesitant.made = self
        self.connection = connection
        self.heard: list[object] = []

    def data(self, data: bytes) -> None:
        """No more."""
        self.heard.append(data)
        self.connection.pause()

    def eof(self) -> None:
        """The client has ended."""
        self.heard.append("eof")

    def closed(self, why: str) -> None:
        """So has the connection."""
        self.heard.append(why)


@pytest.mark.parametrize("driver", ENGINES)
@pytest.mark.parametrize("others", [0, 3 * SHARE], ids=["alone", "behind others"])
def test_an_end_waits_for_who_paused(driver: str, others: int) -> None:
    """He hears of it once, when he resumes, however many turns its handling took."""
    with Server(service=Hesitant, engine=driver) as server, ExitStack() as stack:
        crowd = [stack.enter_context(dial(server)) for _ in range(others)]
        while len(server) < others:
            server.driver.turn()
        client = stack.enter_context(dial(server))
        while len(server) == others:
            server.driver.turn()
        one = Hesitant.made
        ending = list(server.connections)
        for sock in crowd:
            sock.close()
        client.shutdown(socket.SHUT_WR)
        wait_until(lambda: all(state(fd) == _TCP_CLOSE_WAIT for fd in ending))
        one.connection.pause()
        bell = server.orders
        while len(server) > 1:
            server.driver.turn()
        for _ in range(5):
            bell.give(lambda: None)  # or a turn would wait
            server.driver.turn()
        assert one.heard == []
        one.connection.resume()
        while len(server):
            server.driver.turn()
        assert one.heard == ["eof", "client"]


def frozen(data: bytes) -> bytes:
    """A service: how many objects no collection looks at."""
    return b"%08d" % gc.get_freeze_count()


@pytest.mark.parametrize("words", [[], ["--workers", "1"]], ids=["alone", "with a worker"])
def test_what_was_there_at_the_start_is_looked_at_by_no_collection(words: list[str]) -> None:
    """It is tens of thousands of objects, some 4 ms: the longest that a client waited for."""
    with serving("--service", "tests.apps.test_turns:frozen", *words) as server, server.client() as sock:
        sock.sendall(b"?")
        assert int(exactly(sock, 8)) > 5000
        assert server.stop() == 0
