"""What a server does not let its clients have."""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import threading
import time
from typing import Any

import pytest

from knote.apps.journal import Journal
from knote.apps.limits import Addresses, Limits
from knote.apps.server import Server
from tests.apps.programs import dial, exactly, running, serving, to_the_end
from tests.apps.proxy_headers import line
from tests.apps.test_server import reset
from tests.support.waiting import SOON, wait_until

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
    limits = Limits(first_byte=0.4, idle=30)
    with Server(service="echo", engine=engine, limits=limits, journal=Journal("json", journal)) as server:
        with dial(server) as silent, dial(server) as talks:
            talks.sendall(b"x")  # it is there when the time begins
            server.start()
            assert exactly(talks, 1) == b"x"
            assert to_the_end(silent) == b""
            talks.sendall(b"y")
            assert exactly(talks, 1) == b"y"
        wait_until(lambda: not len(server))
    closed = sorted(event["why"] for event in events(journal) if event["event"] == "close")
    assert closed == ["client", "first-byte"]


def test_who_has_been_silent_for_too_long_is_closed(engine: str) -> None:
    journal = io.StringIO()
    limits = Limits(first_byte=0, idle=0.4)
    with Server(service="echo", engine=engine, limits=limits, journal=Journal("json", journal)) as server:
        with dial(server) as sock:
            sock.sendall(b"12345")
            server.start()
            assert exactly(sock, 5) == b"12345"
            assert to_the_end(sock) == b""
        wait_until(lambda: not len(server))
    last = events(journal)[-1]
    assert last["why"] == "idle"
    assert (last["received"], last["sent"]) == (5, 5)
    assert last["seconds"] >= 0.4


def test_who_spoke_while_the_server_stood_still_is_not_silent(engine: str) -> None:
    """What he sent is in the kernel, and the time that has passed may be heard of first."""
    stands, goes_on = threading.Event(), threading.Event()

    def service(data: bytes) -> bytes:
        if data == b"stand still":
            stands.set()
            goes_on.wait(SOON)
        return data

    with running(service, engine=engine, limits=Limits(first_byte=1, idle=1)) as server:
        socks = [dial(server) for _ in range(20)]
        try:
            for sock in socks:
                sock.sendall(b"1")
                assert exactly(sock, 1) == b"1"
            socks[0].sendall(b"stand still")
            assert stands.wait(SOON)
            time.sleep(1.2)  # what the service takes: more than anybody may be silent
            for sock in socks[1:]:
                sock.sendall(b"2")
            goes_on.set()
            for sock in socks[1:]:
                assert exactly(sock, 1) == b"2"
        finally:
            for sock in socks:
                sock.close()


def test_one_that_was_silent_for_too_long_takes_others_along(engine: str) -> None:
    """Its service ends them when it hears of it, and they were about to be closed for the same reason."""
    there: list[Any] = []
    told: list[str] = []

    class Together:
        def connected(self, connection: Any) -> None:
            there.append(connection)

        def data(self, data: bytes) -> None:
            pass

        def closed(self, why: str) -> None:
            for connection in there:
                connection.abort()

    with Server(service=Together, engine=engine, limits=Limits(first_byte=0.05), tell=told.append) as server:
        before = len(server.kqueue.knotes())
        socks = [dial(server) for _ in range(5)]
        server.start()
        for sock in socks:
            assert to_the_end(sock) == b""
            sock.close()
        wait_until(lambda: not len(server))
        wait_until(lambda: len(server.kqueue.knotes()) <= before + 1)
    assert told == []


def test_who_never_reads_is_idle_too(engine: str) -> None:
    """Neither direction moves: a slow reader keeps its connection, one that stands still does not."""
    with running("chargen", engine=engine, limits=Limits(idle=0.1)) as server, dial(server):
        wait_until(lambda: server.accepted == 1)
        wait_until(lambda: not len(server))


def test_the_wheel_stands_still_without_connections(engine: str) -> None:
    with running("echo", engine=engine, limits=Limits(idle=30)) as server:
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
    closed, _, seconds = last.partition("Z ")[2].rpartition(" seconds=")
    assert closed == f"close #1 peer={peer} why=client received=1 sent=1"
    assert float(seconds) >= 0


def test_a_log_that_cannot_be_written_is_no_reason_to_stop() -> None:
    journal = io.StringIO()
    journal.close()
    with running("echo", journal=Journal("json", journal)) as server, dial(server) as sock:
        sock.sendall(b"x")
        assert exactly(sock, 1) == b"x"


def test_a_form_of_log_that_is_none() -> None:
    with pytest.raises(ValueError, match="human or json"):
        Journal("xml")


def test_logs_of_a_worker_say_whose_they_are() -> None:
    """Each process counts its connections from 1."""
    for form in ("human", "json"):
        stream = io.StringIO()
        journal = Journal(form, stream, worker=3)
        journal.say("open", 17, peer="x")
        journal.note("something")
        first, last = stream.getvalue().splitlines()
        if form == "json":
            whose = {"worker": 3, "pid": os.getpid()}
            assert json.loads(first).items() >= {"id": 17, "peer": "x", **whose}.items()
            assert json.loads(last).items() >= {"event": "note", "text": "something", **whose}.items()
        else:
            assert first.endswith(f"Z open #{os.getpid()}.17 peer=x")
            assert last.endswith("Z note something")


def test_every_line_of_a_json_log_is_json() -> None:
    """What is said to the operator, too; two workers share the stream, and no connection's name is another's."""
    how = ["--log", "json", "--workers", "2", "--max-per-address", "1", "--proxy-from", "127.0.0.1"]
    with serving(*how) as server:
        for number in range(20):
            with server.client() as sock:
                if number == 10:
                    sock.sendall(b"no header")
                    assert to_the_end(sock) == b""
                else:
                    sock.sendall(line(f"192.0.2.{number}", "192.0.2.99", 1, 2) + b"x")
                    assert exactly(sock, 1) == b"X"
        assert server.process.stderr is not None
        assert server.stop() == 0
        said = [json.loads(each) for each in server.process.stderr]
    opened = [(each["pid"], each["id"]) for each in said if each["event"] == "open"]
    assert len(set(opened)) == len(opened) == 19
    assert sorted((each["pid"], each["id"]) for each in said if each["event"] == "close") == sorted(opened)
    assert [each["why"] for each in said if each["event"] == "refused"] == ["proxy"]
    assert any("trusted to send a PROXY header" in each["text"] for each in said if each["event"] == "note")
