"""The shapes of a service, and what is built in: on every engine."""

from __future__ import annotations

import math
import re
import socket
from pathlib import Path
from typing import Any

import pytest

from knote.apps.service import LoadError, ServiceError, find, load
from tests.apps import services
from tests.apps.programs import dial, exactly, running, to_the_end
from tests.apps.test_server import reset
from tests.support.waiting import wait_until

DRIVERS = True



def said(service: Any, sent: bytes, engine: str, **how: Any) -> bytes:
    """All that comes back."""
    with running(service, engine=engine, **how) as server, dial(server) as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        return to_the_end(sock)


def test_a_protocol_hears_of_everything(engine: str) -> None:
    services.Lines.said.clear()
    assert said(services.Lines, b"a\nb\n", engine) == b"hello 1\na\nb\n2 lines\n"
    assert services.Lines.said == ["service"]


def test_a_protocol_is_told_of_a_reset_and_of_the_stop(engine: str) -> None:
    services.Lines.said.clear()
    with running("tests.apps.services:Lines", engine=engine) as server:
        sock = dial(server)
        exactly(sock, 8)
        reset(sock)
        wait_until(lambda: services.Lines.said == ["reset"])
        last = dial(server)
        exactly(last, 8)
    last.close()
    assert services.Lines.said == ["reset", "stopped"]


def test_a_protocol_writes_no_faster_than_it_is_read(engine: str) -> None:
    with running(services.Flood, engine=engine) as server, dial(server) as sock:
        assert to_the_end(sock) == b"f" * 10_000_000
        wait_until(lambda: not len(server))


def test_an_async_function_over_the_stream(engine: str) -> None:
    assert said(services.sums, b"1 2 3\n40 2\n", engine) == b"6\n42\n"
    assert said(services.parts, b"5:abcdexyz", engine) == b"edcbaXYZ"


def test_an_async_function_meets_bytes_as_they_come(engine: str) -> None:
    with running(services.parts, engine=engine) as server, dial(server) as sock:
        for piece in (b"1", b"1:0123456", b"789a"):
            sock.sendall(piece)
        assert exactly(sock, 11) == b"a9876543210"
        sock.sendall(b"more")
        assert exactly(sock, 4) == b"MORE"


@pytest.mark.parametrize(
    ("service", "words"),
    [(services.fails_later, "ZeroDivisionError: as asked"), (services.foreign, "only the stream's own methods")],
)
def test_an_async_function_that_fails(service: Any, words: str) -> None:
    told: list[str] = []
    with running(service, tell=told.append) as server, dial(server) as sock:
        sock.sendall(b"x")
        assert to_the_end(sock) in (b"x", b"")
        wait_until(lambda: not len(server))
    assert words in told[0]


@pytest.mark.parametrize(
    "service",
    [services.fails, services.leaves, services.Leaves, services.gives_up, services.has_no_backend],
)
def test_whatever_a_service_raises_ends_its_connection_alone(service: Any, engine: str) -> None:
    told: list[str] = []
    with running(service, engine=engine, tell=told.append) as server, dial(server) as other, dial(server) as sock:
        sock.sendall(b"bad")
        assert to_the_end(sock) == b""
        other.sendall(b"good")
        assert exactly(other, 4) == b"good"
    assert len(told) == 1
    assert told[0].rstrip().endswith("as asked")


def test_an_async_function_that_only_writes_ends_with_its_client(engine: str) -> None:
    with running(services.torrent, engine=engine) as server:
        sock = dial(server)
        exactly(sock, 100_000)
        reset(sock)
        wait_until(lambda: not len(server))
        with dial(server) as other:
            assert exactly(other, 1000) == b"t" * 1000


def test_an_async_function_that_goes_on_without_its_client_is_ended(engine: str) -> None:
    ended: list[bool] = []

    async def stubborn(stream: Any) -> None:
        try:
            while True:
                try:
                    await stream.write(b"t" * 1000)
                except ConnectionError:
                    await stream.read()
        finally:
            ended.append(True)

    with running(stubborn, engine=engine) as server:
        reset(dial(server))
        wait_until(lambda: ended)


def test_an_async_function_may_sleep_for_ever(engine: str) -> None:
    ended: list[bool] = []

    async def sleeps(stream: Any) -> None:
        try:
            await stream.sleep(math.inf)
        finally:
            ended.append(True)

    told: list[str] = []
    with running(sleeps, engine=engine, tell=told.append) as server:
        sock = dial(server)
        wait_until(lambda: len(server))
        reset(sock)
        wait_until(lambda: ended)
    assert told == []


def test_an_async_function_that_writes_much_keeps_nobody_waiting(engine: str) -> None:
    done: list[str] = []
    clients: list[socket.socket] = []

    async def writes(stream: Any) -> None:
        if await stream.read() == b"much":
            clients[1].sendall(b"little")  # so it is there before the first write
            for _ in range(1000):
                await stream.write(b"w")
            done.append("much")
        else:
            done.append("little")

    with running(writes, engine=engine) as server, dial(server) as much, dial(server) as little:
        clients += [much, little]
        much.sendall(b"much")
        assert to_the_end(much) == b"w" * 1000
    assert done == ["little", "much"]


def test_an_object_that_is_called_like_an_async_function(engine: str) -> None:
    assert said("tests.apps.services:called", b"hello", engine) == b"HELLO"


@pytest.mark.parametrize("name", ["yields", "called.__class__"])
def test_what_is_no_service(name: str) -> None:
    with pytest.raises(ServiceError, match=name):
        find(f"tests.apps.services:{name}")


def test_a_module_that_leaves_when_it_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "knote_test_leaves.py").write_text("raise SystemExit('as asked')")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(LoadError, match="cannot be loaded: SystemExit: as asked"):
        load("knote_test_leaves:f")


def test_chargen_until_the_client_has_enough(engine: str) -> None:
    with running("chargen", engine=engine) as server, dial(server) as sock:
        got = exactly(sock, 3_000_000)
        lines = got.split(b"\r\n")
        assert lines[0] == bytes(range(32, 104))
        assert lines[1] == bytes(range(33, 105))
        assert lines[95] == lines[0]
        assert {len(line) for line in lines[:-1]} == {72}
        sock.shutdown(socket.SHUT_WR)
        wait_until(lambda: not len(server))


def test_chargen_keeps_nobody_waiting(engine: str) -> None:
    with running("chargen", engine=engine) as server, dial(server) as greedy, dial(server) as other:
        exactly(greedy, 100_000)
        assert exactly(other, 72) == bytes(range(32, 104))
        assert sum(one.pending for one in list(server.connections.values())) < 200_000


def test_daytime(engine: str) -> None:
    with running("daytime", engine=engine) as server, dial(server) as sock:
        assert re.fullmatch(rb"\w+day, \w+ \d\d, \d{4} \d\d:\d\d:\d\d-\S+\r\n", to_the_end(sock))
        wait_until(lambda: not len(server))


def test_discard_takes_everything(engine: str) -> None:
    with running("discard", engine=engine) as server, dial(server) as sock:
        sock.sendall(bytes(1 << 24))
        sock.shutdown(socket.SHUT_WR)
        assert to_the_end(sock) == b""


def test_pause_and_resume(engine: str) -> None:
    made: list[Any] = []

    class Once:
        def connected(self, connection: Any) -> None:
            self.connection = connection
            made.append(connection)

        def data(self, data: bytes) -> None:
            self.connection.write(data)
            self.connection.pause()

    with running(Once, engine=engine, limits=None) as server, dial(server) as sock:
        sock.sendall(b"one")
        assert exactly(sock, 3) == b"one"
        # Held, it is not even read to its end; the server's own close is what ends it.
        sock.sendall(b"two")
        assert made[0].peer == "{}:{}".format(*sock.getsockname())
        assert made[0].id == 1
