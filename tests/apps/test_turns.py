"""How much one turn of a server may have to do: everybody else waits for so long."""

from __future__ import annotations

import gc
import socket
from contextlib import ExitStack

import pytest

from knote.apps.ring_pool import FIRST_BUFFERS, SIZE
from knote.apps.server import Server
from tests.apps.programs import dial, exactly, serving

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
