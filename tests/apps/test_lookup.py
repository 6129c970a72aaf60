"""Names: whoever looks one up can be kept waiting, and nobody else is."""

from __future__ import annotations

import select
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from knote import kqueue
from knote.apps import dial, lookup
from knote.apps.conditions import peer
from knote.apps.conditions.peer import Peer
from tests.apps.lookups import SILENT, name_server, saying
from tests.apps.programs import PATIENCE, ended, knote, settled, started
from tests.apps.test_connect import listener
from tests.support import namespaces
from tests.support.waiting import SOON, wait_until

OURS = [(2, 1, 6, "", ("192.0.2.1", 80))]


def test_an_address_in_numbers_needs_nobody(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", None)
    with kqueue(engine=engine) as queue:
        for host in ("127.0.0.1", "::1"):
            [answer] = lookup.find(queue, host, 80)
            assert answer[4][:2] == (host, 80)
        with pytest.raises(socket.gaierror, match="ervname"):
            lookup.find(queue, "127.0.0.1", "no-such-service")


def test_a_name_is_found(engine: str) -> None:
    with kqueue(engine=engine) as queue:
        found = lookup.find(queue, "localhost", 80)
        assert found == socket.getaddrinfo("localhost", 80, type=socket.SOCK_STREAM)
        assert queue.knotes() == []


def test_the_same_process_answers_again(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "CHILD", saying(OURS))
    answers: list[Any] = []
    with kqueue(engine=engine) as queue, lookup.Resolver(queue) as resolver:
        for _ in range(3):
            assert not resolver.busy
            resolver.ask("name", "http", answers.append)
            assert resolver.busy
            [event] = queue.control(None, 1, SOON)
            event.udata.ready(event)
        process = resolver._process
        assert process is not None and process.poll() is None
    assert answers == [OURS] * 3
    assert process.returncode == -signal.SIGKILL


def test_a_list_of_many_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a pipe holds: it comes in pieces."""
    many = [(2, 1, 6, "", (f"192.0.2.{i % 256}", i)) for i in range(5000)]
    made = "dumps([(2, 1, 6, '', (f'192.0.2.{i % 256}', i)) for i in range(5000)])"
    monkeypatch.setattr(lookup, "CHILD", saying(None).replace("dumps(None)", made))
    with kqueue() as queue:
        assert lookup.find(queue, "name", 80) == many


def test_a_process_that_ends_is_told_and_another_one_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "CHILD", "pass")
    answers: list[Any] = []
    with kqueue() as queue, lookup.Resolver(queue) as resolver:
        resolver.ask("name", 80, answers.append)
        [event] = queue.control(None, 1, SOON)
        event.udata.ready(event)
        assert isinstance(answers[0], socket.gaierror) and "has ended" in str(answers[0])
        monkeypatch.setattr(lookup, "CHILD", saying(OURS))
        resolver.ask("name", 80, answers.append)
        [event] = queue.control(None, 1, SOON)
        event.udata.ready(event)
        assert answers[1] == OURS


def test_without_an_interpreter_it_asks_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(subprocess, "Popen", None)
    with kqueue() as queue:
        assert lookup.find(queue, "localhost", 80)


def test_no_answer_about_the_name(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "CHILD", SILENT)
    with kqueue(engine=engine) as queue:
        start = monotonic()
        with pytest.raises(dial.ConnectError, match=r"name:80: no answer about the name within 0\.05 s"):
            dial.dial(queue, "name", 80, timeout=0.05)
        assert monotonic() - start >= 0.05
        assert queue.knotes() == []


def test_a_server_whose_name_nobody_knows(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """knote wait: the attempt ends, and the next one is made; then there is a name."""
    monkeypatch.setattr(lookup, "CHILD", SILENT)
    monkeypatch.setattr(peer, "PATIENCE_MS", 20)
    told: list[str] = []
    with listener() as door, kqueue(engine=engine) as queue:
        there, gone = Peer("name:80", "connect"), Peer("name:80", "no-connect")
        for condition in (there, gone):
            condition.begin(queue, lambda fact: told.append(fact.line()))
        while not told:
            for event in queue.control(None, 8, SOON):
                event.udata.ready(event)
        assert told == ["no-connect name:80: does not answer (no answer about the name within 0.02 s)"]
        monkeypatch.setattr(lookup, "CHILD", saying([(2, 1, 6, "", door.getsockname())]))
        monkeypatch.setattr(peer, "PATIENCE_MS", 5000)
        while len(told) < 2:
            for event in queue.control(None, 8, SOON):
                event.udata.ready(event)
        assert told[1] == "connect name:80: answers"
        for condition in (there, gone):
            condition.close()


@pytest.mark.needs("mount namespace", "network namespace")
@namespaces.in_new(namespaces.MOUNT | namespaces.NET)
def test_a_name_server_that_says_nothing(tmp_path: Path) -> None:
    with name_server(tmp_path) as server:
        server.settimeout(PATIENCE)
        # The C library itself waits for ten seconds, each time (resolv.conf(5), timeout and attempts).
        done = knote("connect", "--timeout", "300ms", "slow.example", "80", timeout=9.9)
        assert (done.returncode, done.stdout) == (1, b"")
        assert done.stderr.startswith(b"knote connect: slow.example:80: no answer about the name within 0.3 s")
        done = knote("wait", "--timeout", "300ms", "--connect", "slow.example:80", timeout=9.9)
        assert done.returncode == 124
        done = knote("connect", "--listen", "--timeout", "300ms", "slow.example:80", timeout=9.9)
        assert done.stderr.startswith(b"knote connect: cannot listen on slow.example:80: no answer about the name")

        for words in (["connect", "slow.example", "80"], ["wait", "--connect", "slow.example:80"]):
            while select.select([server], [], [], 0)[0]:
                server.recv(512)  # what those before have asked
            with started(*words, stderr=subprocess.PIPE) as process:
                assert b"slow" in server.recv(512)
                settled(process)
                process.send_signal(signal.SIGINT)
                assert ended(process) == -signal.SIGINT
                assert process.stderr is not None and process.stderr.read() == b""


@pytest.mark.needs("mount namespace", "network namespace")
@namespaces.in_new(namespaces.MOUNT | namespaces.NET)
def test_a_name_that_begins_to_exist(tmp_path: Path) -> None:
    with name_server(tmp_path) as server, listener() as door:
        port = door.getsockname()[1]
        with started("wait", "--connect", f"new.example:{port}", stdout=subprocess.PIPE) as process:
            asked = 0

            def has_ended() -> bool:
                nonlocal asked
                while select.select([server], [], [], 0)[0]:
                    question, who = server.recvfrom(512)
                    asked += 1
                    server.sendto(_answer(question, known=asked > 4), who)
                return process.poll() is not None

            wait_until(has_ended, PATIENCE)
            assert ended(process) == 0
            assert process.stdout is not None
            assert process.stdout.read() == f"connect new.example:{port}: answers\n".encode()


def _answer(question: bytes, *, known: bool) -> bytes:
    """NXDOMAIN, or 127.0.0.1 where an A record is asked for.  RFC 1035, 4.1"""
    end = question.index(b"\0", 12) + 5
    (kind,) = struct.unpack_from(">H", question, end - 4)
    address = known and kind == 1
    flags = 0x8180 if known else 0x8183
    head = question[:2] + struct.pack(">HHHHH", flags, 1, int(address), 0, 0)
    record = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 0, 4) + socket.inet_aton("127.0.0.1")
    return head + question[12:end] + (record if address else b"")
