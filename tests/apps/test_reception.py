"""--admin answers at once, whoever else has come and says nothing, and when there is no descriptor left."""

from __future__ import annotations

import os
import resource
import socket
from contextlib import ExitStack
from typing import Any

import pytest

from knote.apps.admin import Admin
from knote.apps.limits import Limits
from knote.apps.numbers import Report
from knote.apps.server import Server
from tests.apps.programs import beside, exactly, serving
from tests.apps.test_admin import administered, ask, fetched, page_of
from tests.support.waiting import SOON, wait_until

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def visitor(stack: ExitStack, admin: Admin, room: int = 0) -> socket.socket:
    """room: of its receive buffer; 0 for what the kernel gives, some megabytes when it is needed."""
    sock = stack.enter_context(socket.socket())
    if room:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)
    sock.settimeout(SOON)
    sock.connect(admin.server.address)
    return sock


@pytest.mark.parametrize(
    "words", [b"", b"GET /met", HEALTH, b"GET /healthz HTTP/1.0\r\n\r\n"], ids=["none", "some", "asked", "ended"]
)
def test_a_crowd_that_says_nothing_gives_way(words: bytes) -> None:
    """Twice as many as may be there; their times are 10 s and 60 s, and nobody here waits for so long."""
    with administered() as (_server, admin), ExitStack() as stack:
        for _ in range(128):
            sock = visitor(stack, admin)
            sock.sendall(words)
            if words.endswith(b"\n"):
                assert b"alive" in sock.recv(65536)
        assert ask(admin, "/healthz")[::2] == (200, "alive\n")
        assert len(admin.server) <= 64


def ask_without_end(sock: socket.socket, admin: Admin) -> None:
    """And never read, until answers are kept for it."""
    questions = memoryview(HEALTH * 100_000)
    sent = 0
    sock.setblocking(False)

    def is_owed() -> bool:
        nonlocal sent
        try:
            sent += sock.send(questions[sent:])
        except BlockingIOError:
            pass
        there = list(admin.server.connections.values())
        for each in there:
            # Else the kernel takes megabytes of answers before any is kept.
            with socket.socket(fileno=os.dup(each.fd)) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return any(each.pending for each in there)

    wait_until(is_owed)


def test_who_takes_no_answer_gives_way_and_who_waits_for_one_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from knote.apps import admin as module

    monkeypatch.setattr(module, "_LIMITS", Limits(connections=2, first_byte=60, idle=60))
    waiting: list[Any] = []
    with Server(service="echo") as server:
        admin = Admin(server.kqueue, "127.0.0.1:0", waiting.append)
        with beside(server.run), ExitStack() as stack:
            try:
                first, deaf = visitor(stack, admin), visitor(stack, admin, room=4096)
                first.sendall(HEALTH.replace(b"healthz", b"metrics"))
                wait_until(lambda: waiting)
                ask_without_end(deaf, admin)
                assert ask(admin, "/healthz")[0] == 200
                server.orders.give(lambda: waiting[0]({}, Report()))
                assert exactly(first, 12) == b"HTTP/1.1 200"
            finally:
                server.stop()
        admin.close()


def test_health_is_told_when_the_clients_have_all_descriptors() -> None:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))

    with serving("--admin", "127.0.0.1:0", preexec_fn=limit) as server, ExitStack() as stack:
        where = page_of(server)
        stays = stack.enter_context(socket.create_connection(where, timeout=SOON))
        stays.sendall(HEALTH)
        assert exactly(stays, 15) == b"HTTP/1.1 200 \r\n"
        socks = [stack.enter_context(server.client()) for _ in range(60)]
        stderr = server.process.stderr
        assert stderr is not None
        while b"Too many open files" not in stderr.readline():
            pass
        for _ in range(3):
            assert fetched(where, "/healthz") == (200, "alive\n")
            assert fetched(where, "/readyz") == (200, "ready\n")
            assert "knote_connections " in fetched(where, "/metrics")[1]
        socks[0].sendall(b"x")
        assert exactly(socks[0], 1) == b"X"
        for sock in socks:
            sock.close()
        with server.client() as sock:
            sock.sendall(b"y")
            assert exactly(sock, 1) == b"Y"
        assert server.stop() == 0
