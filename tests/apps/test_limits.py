"""What a server does not let its clients have."""

from __future__ import annotations

import io
import json
import socket
import struct
from typing import Any

import pytest

from knote.apps.journal import Journal
from knote.apps.limits import Addresses, Limits
from tests.apps.programs import dial, exactly, running, to_the_end
from tests.apps.test_server import reset
from tests.support.waiting import wait_until

DRIVERS = True



def events(journal: io.StringIO) -> list[dict[str, Any]]:
    """What was written down."""
    return [json.loads(line) for line in journal.getvalue().splitlines()]


def test_more_than_max_connections_wait(engine: str) -> None:
    with running("echo", engine=engine, limits=Limits(connections=3)) as server:
        socks = [dial(server) for _ in range(8)]
        for number, sock in enumerate(socks):
            sock.sendall(b"%d" % number)
        for number, sock in enumerate(socks):
            assert exactly(sock, 1) == b"%d" % number
            assert len(server) <= 3
            sock.close()
        wait_until(lambda: not len(server))
        assert server.accepted == 8


def test_more_than_its_share_is_closed(engine: str) -> None:
    journal = io.StringIO()
    limits = Limits(per_address=2)
    with running("echo", engine=engine, limits=limits, journal=Journal("json", journal)) as server:
        first, second, third = dial(server), dial(server), dial(server)
        assert to_the_end(third) == b""
        first.close()
        wait_until(lambda: len(server) == 1)
        with dial(server) as fourth:
            fourth.sendall(b"x")
            assert exactly(fourth, 1) == b"x"
        second.close()
        third.close()
        wait_until(lambda: not len(server))
        assert not len(server._addresses)
    said = events(journal)
    assert [event["event"] for event in said].count("refused") == 1
    assert {event["why"] for event in said if event["event"] == "close"} == {"client"}


def test_addresses_of_this_machine_are_not_counted_unless_asked() -> None:
    counted = Addresses(Limits())
    assert not counted.counts("127.0.0.1")
    assert not counted.counts("::1")
    assert not counted.counts("")
    assert counted.counts("192.0.2.1")
    assert Addresses(Limits(per_address=1)).counts("127.0.0.1")
    assert not Addresses(Limits(per_address=0)).counts("192.0.2.1")


def test_who_says_nothing_is_closed(engine: str) -> None:
    journal = io.StringIO()
    limits = Limits(first_byte=0.05, idle=30)
    with running("echo", engine=engine, limits=limits, journal=Journal("json", journal)) as server:
        with dial(server) as silent, dial(server) as talks:
            talks.sendall(b"x")
            assert exactly(talks, 1) == b"x"
            assert to_the_end(silent) == b""
            talks.sendall(b"y")
            assert exactly(talks, 1) == b"y"
        wait_until(lambda: not len(server))
    closed = sorted(event["why"] for event in events(journal) if event["event"] == "close")
    assert closed == ["client", "first-byte"]


def test_who_has_been_silent_for_too_long_is_closed(engine: str) -> None:
    journal = io.StringIO()
    limits = Limits(first_byte=0, idle=0.1)
    with running("echo", engine=engine, limits=limits, journal=Journal("json", journal)) as server:
        with dial(server) as sock:
            for _ in range(5):
                sock.sendall(b"x")
                assert exactly(sock, 1) == b"x"
            assert to_the_end(sock) == b""
        wait_until(lambda: not len(server))
    last = events(journal)[-1]
    assert last["why"] == "idle"
    assert (last["received"], last["sent"]) == (5, 5)
    assert last["seconds"] >= 0.1


def test_who_never_reads_is_idle_too(engine: str) -> None:
    """Neither direction moves: a slow reader keeps its connection, one that stands still does not."""
    with running("chargen", engine=engine, limits=Limits(idle=0.1)) as server, dial(server):
        wait_until(lambda: server.accepted == 1)
        wait_until(lambda: not len(server))


def test_the_wheel_stands_still_without_connections(engine: str) -> None:
    with running("echo", engine=engine, limits=Limits(idle=0.1)) as server:
        before = len(server.kqueue.knotes())
        with dial(server) as sock:
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"x"
            assert len(server.kqueue.knotes()) >= before + 1
        wait_until(lambda: not len(server))
        wait_until(lambda: len(server.kqueue.knotes()) == before)


def test_a_thousand_that_reset_leave_nothing(engine: str) -> None:
    with running("echo", engine=engine) as server:
        for number in range(1000):
            sock = dial(server)
            if number % 3:
                sock.sendall(b"x" * 5000 if number % 3 == 1 else b"y")
            reset(sock)
        with dial(server) as sock:
            sock.sendall(b"still here")
            assert exactly(sock, 10) == b"still here"
        wait_until(lambda: not len(server))
        assert server.accepted == 1001


@pytest.mark.parametrize("what", ["connections", "idle", "first_byte", "buffer"])
def test_limits_are_checked(what: str) -> None:
    with pytest.raises(ValueError, match=f"{what}=-1"):
        Limits(**{what: -1})
    if what == "buffer":
        with pytest.raises(ValueError, match="without end"):
            Limits(buffer=0)


def test_few_descriptors_are_warned_of() -> None:
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert not Limits(connections=1).warning()
    assert not Limits(connections=0).warning()
    said = Limits(connections=soft + 1).warning()
    assert f"may open {soft} descriptors" in said
    assert "--max-connections" in said
    assert ("ulimit -n" in said) == (hard >= soft + 33)


def test_human_logs() -> None:
    journal = io.StringIO()
    with running("echo", journal=Journal("human", journal)) as server:
        with dial(server) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 0, 0))
            sock.sendall(b"x")
            assert exactly(sock, 1) == b"x"
            peer = "{}:{}".format(*sock.getsockname())
        wait_until(lambda: not len(server))
    first, last = journal.getvalue().splitlines()
    assert first.partition("Z ")[2] == f"open #1 peer={peer} listener={server}"
    assert last.partition("Z ")[2].startswith(f"close #1 peer={peer} why=client received=1 sent=1 seconds=0.")


def test_a_log_that_cannot_be_written_is_no_reason_to_stop() -> None:
    journal = io.StringIO()
    journal.close()
    with running("echo", journal=Journal("json", journal)) as server, dial(server) as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"


def test_a_form_of_log_that_is_none() -> None:
    with pytest.raises(ValueError, match="human or json"):
        Journal("xml")
