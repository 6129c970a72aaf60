"""A server that ends without breaking off what is under way."""

from __future__ import annotations

import io
import json
import math
import signal
import socket
import threading
import time
from typing import Any

import pytest

from knote.apps.journal import Journal
from knote.apps.server import Server
from tests.apps.programs import PATIENCE, Serving, dial, ended, exactly, running, serving, to_the_end
from tests.apps.test_server import send_until_it_blocks
from tests.support.waiting import SOON, wait_until

DRIVERS = True


def asked(sock: socket.socket, data: bytes, answer: bytes) -> None:
    sock.sendall(data)
    assert exactly(sock, len(answer)) == answer


def over(server: Server) -> None:
    """It has stopped by itself: closed its queue."""
    wait_until(lambda: server.kqueue.closed, what="the server has stopped")


def test_with_nobody_there_it_ends(engine: str) -> None:
    with running(engine=engine) as server:
        server.drain()
        over(server)


def test_who_is_silent_is_closed(engine: str) -> None:
    said = io.StringIO()
    with running(engine=engine, journal=Journal("json", said)) as server, dial(server) as sock:
        asked(sock, b"a", b"A")
        server.drain(quiet=0.01)
        assert to_the_end(sock) == b""
        over(server)
    assert json.loads(said.getvalue().splitlines()[-1])["why"] == "drained"


def test_what_comes_after_the_end_reaches_no_service(engine: str) -> None:
    got: list[bytes] = []

    def answer(data: bytes) -> bytes:
        got.append(data)
        return data.upper()

    with running(answer, engine=engine) as server, dial(server) as sock:
        asked(sock, b"a", b"A")
        server.drain(quiet=0.01)
        assert to_the_end(sock) == b""
        sock.sendall(b"too late")
        over(server)
    assert got == [b"a"]


def test_who_goes_on_is_served_on(engine: str) -> None:
    with running(engine=engine) as server, dial(server) as sock, dial(server) as other:
        for one in (sock, other):
            asked(one, b"a", b"A")
        server.drain(quiet=math.inf)
        wait_until(lambda: server.draining)
        for _ in range(20):
            asked(sock, b"more", b"MORE")
            asked(other, b"more", b"MORE")
        sock.shutdown(socket.SHUT_WR)
        assert to_the_end(sock) == b""
        asked(other, b"still", b"STILL")
        assert not server.kqueue.closed
        other.close()
        over(server)


def test_nobody_new_comes_in(engine: str) -> None:
    with running(engine=engine) as server, dial(server) as sock:
        asked(sock, b"a", b"A")
        server.drain(quiet=math.inf)

        def refused() -> bool:
            try:
                dial(server).close()
            except ConnectionError:
                return True
            return False

        wait_until(refused, what="nobody listens any more")
        asked(sock, b"b", b"B")


@pytest.mark.parametrize("count", [1, 300])
def test_who_is_queued_is_served(engine: str, count: int) -> None:
    # Before run() nobody is accepted: all of them are in the kernel's queue, or the ring's, when it begins.
    with Server(engine=engine) as server:
        socks = [dial(server) for _ in range(count)]
        for sock in socks:
            sock.sendall(b"x")
        server.drain()
        thread = threading.Thread(target=server.run)
        thread.start()
        for sock in socks:
            assert to_the_end(sock) == b"X"
            sock.close()
        thread.join(PATIENCE)
        assert not thread.is_alive()
        assert server.accepted == count


def test_beyond_the_deadline_nobody_stays(engine: str) -> None:
    said = io.StringIO()
    with running("chargen", engine=engine, journal=Journal("json", said)) as server, dial(server) as sock:
        exactly(sock, 1000)
        server.drain(0.05)
        try:
            to_the_end(sock)
        except ConnectionResetError:
            pass
        over(server)
    assert json.loads(said.getvalue().splitlines()[-1])["why"] == "stopped"


def test_what_a_client_is_owed_it_gets(engine: str) -> None:
    with running("echo", engine=engine) as server, dial(server) as sock:
        asked(sock, b"a", b"a")
        sent = send_until_it_blocks(sock, 1 << 26)
        server.drain(quiet=0.01)
        wait_until(lambda: server.draining)
        assert to_the_end(sock) == b"a" * sent


class Working:
    """A protocol that is not done at the first quiet moment."""

    asked_for = 0

    def connected(self, connection: Any) -> None:
        """For later."""
        self.connection = connection
        self.left = 3

    def data(self, data: bytes) -> None:
        """Back."""
        self.connection.write(data)

    def draining(self) -> bool:
        """Three more words, then no objection."""
        if self.left:
            self.left -= 1
            self.connection.write(b".")
            return True
        return False


def test_a_service_may_have_more_to_say(engine: str) -> None:
    with running(Working, engine=engine) as server, dial(server) as sock:
        asked(sock, b"a", b"a")
        server.drain(quiet=0.01)
        assert to_the_end(sock) == b"..."
        over(server)


def test_a_service_that_fails_at_it(engine: str) -> None:
    class Failing(Working):
        def draining(self) -> bool:
            raise ZeroDivisionError("as asked")

    told: list[str] = []
    with running(Failing, engine=engine, tell=told.append) as server, dial(server) as sock:
        asked(sock, b"a", b"a")
        server.drain(quiet=math.inf)
        assert to_the_end(sock) == b""
        over(server)
    assert "ZeroDivisionError: as asked" in told[0]


def test_an_async_service_at_work_is_waited_for(engine: str) -> None:
    at_work = threading.Event()

    async def slowly(stream: Any) -> None:
        while data := await stream.read():
            if data == b"b":
                at_work.set()
                while not stream.draining:
                    await stream.sleep(0.001)
                await stream.sleep(0.1)  # many looks
                await stream.write(b"b and goodbye")
                return
            await stream.write(data)

    with running(slowly, engine=engine) as server, dial(server) as sock, dial(server) as idle:
        asked(idle, b"a", b"a")
        sock.sendall(b"b")
        assert at_work.wait(SOON)
        server.drain(quiet=0.005)
        assert to_the_end(sock) == b"b and goodbye"
        assert to_the_end(idle) == b""
        over(server)


def test_a_listener_that_was_given_stays_open(engine: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        copy = sock.dup()
        with running(engine=engine, listen=[copy]) as server:
            server.drain()
            over(server)
        # Whoever holds it serves who comes now.
        with socket.create_connection(sock.getsockname(), timeout=SOON) as client:
            ours, _ = sock.accept()
            ours.sendall(b"here")
            assert exactly(client, 4) == b"here"
            ours.close()


def test_resting_listeners_let_nobody_in_until_they_resume(engine: str) -> None:
    with running(engine=engine, resting=True) as server, dial(server) as sock:
        sock.sendall(b"x")
        for _ in range(3):
            server.orders.give(server.listeners[0].resume)
            assert exactly(sock, 1) == b"X"
            server.orders.give(server.listeners[0].rest)
            server.orders.give(server.listeners[0].resume)  # at once: the rest is not over yet
            server.orders.give(server.listeners[0].rest)
            sock.sendall(b"x")
        assert exactly(sock, 1) == b"X"
        assert server.accepted == 1


def test_stop_ends_a_drain(engine: str) -> None:
    with running(engine=engine) as server, dial(server) as sock:
        asked(sock, b"a", b"A")
        server.drain(quiet=math.inf)
        wait_until(lambda: server.draining)
        server.stop()
        assert to_the_end(sock) == b""
        over(server)
        server.drain()  # of one that is closed, nothing


def test_longer_than_a_timer_can_be_is_for_ever(engine: str) -> None:
    with running(engine=engine) as server, dial(server) as sock:
        asked(sock, b"a", b"A")
        server.drain(seconds=1e300, quiet=1e300)
        wait_until(lambda: server.draining)
        asked(sock, b"b", b"B")
        sock.close()
        over(server)


@pytest.mark.parametrize("how", [{"seconds": -1}, {"quiet": math.nan}])
def test_what_is_no_time(how: dict[str, float]) -> None:
    with Server() as server, pytest.raises(ValueError, match="0 or more"):
        server.drain(**how)


def test_a_request_that_came_while_the_loop_stood_still_is_answered(engine: str) -> None:
    entered, opened = threading.Event(), threading.Event()

    with running(engine=engine) as server, dial(server) as sock:
        asked(sock, b"a", b"A")

        def stand_still() -> None:
            server._begin_drain(math.inf, 0.02)  # in this very turn, so that nothing is looked at before
            entered.set()
            assert opened.wait(SOON)

        server.orders.give(stand_still)
        assert entered.wait(SOON)
        end = time.monotonic() + 0.1  # the timer has expired, and nobody was told
        wait_until(lambda: time.monotonic() > end)
        sock.sendall(b"in time")
        opened.set()
        assert exactly(sock, 7) == b"IN TIME"
        over(server)


def refused(server: Serving) -> bool:
    """Whether nobody listens there any more."""
    try:
        server.client().close()
    except ConnectionError:
        return True
    return False


@pytest.mark.parametrize("end", ["the client", "SIGTERM", "SIGINT"])
def test_the_command_drains_at_sigterm(end: str) -> None:
    with serving("--drain", "inf", "--drain-quiet", "inf") as server, server.client() as sock:
        asked(sock, b"a", b"A")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(server), what="nobody new comes in")
        asked(sock, b"b", b"B")
        if end == "the client":
            sock.shutdown(socket.SHUT_WR)
        else:
            server.process.send_signal(signal.Signals[end])
        assert to_the_end(sock) == b""
        assert ended(server.process) == 0
