"""Who connects while a server closes its door is served, refused, or taken by another one, and never reset."""

from __future__ import annotations

import math
import os
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knote.apps.listener import opened
from knote.apps.server import Server
from tests.apps.callers import Caller
from tests.apps.crew import LONG, crew
from tests.apps.programs import dial, ended, exactly, running
from tests.apps.test_drain import Working, over
from tests.apps.test_workers import gone, state
from tests.support.waiting import wait_until

DRIVERS = True

MANY = 64
"""Of two sockets one gets none of so many connections once in 2 ** 63 times."""


class Watched:
    """A listener's socket: something is done before it is shut down, and before it is closed."""

    def __init__(self, server: Server, **before: Callable[[], object]) -> None:
        listener: Any = server.listeners[0]
        self._sock = listener._sock
        self._before = before
        listener._sock = self

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def shutdown(self, how: int) -> None:
        """As a socket's."""
        self._before.pop("shutdown", int)()
        self._sock.shutdown(how)

    def close(self) -> None:
        """As a socket's."""
        self._before.pop("close", int)()
        self._sock.close()


@pytest.mark.parametrize("quiet", [0, 0.01])
def test_who_comes_between_the_last_accept_and_the_close_is_refused(engine: str, quiet: float) -> None:
    late: list[Caller] = []
    with running(engine=engine) as server:
        where = server.address
        Watched(server, close=lambda: late.append(Caller(where)))
        server.drain(quiet=quiet)
        over(server)
    assert [one.fate() for one in late] == ["ECONNREFUSED"]


def test_of_two_that_share_a_port_the_other_one_takes_them(engine: str) -> None:
    callers: list[Caller] = []

    def call() -> None:
        callers.extend(Caller(where) for _ in range(MANY))

    first, second = opened(("127.0.0.1", 0), 2)
    where = first.getsockname()
    with running(engine=engine, listen=[second]), running(engine=engine, listen=[first]) as server:
        server.listeners[0].final = True  # as a worker's whose master is gone
        Watched(server, close=call)
        call()
        server.drain()
        wait_until(lambda: server.draining)
        call()
        over(server)
        call()
        assert Counter(one.fate() for one in callers) == {"X": 4 * MANY}


def test_who_is_half_way_through_the_handshake_arrives(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knote.apps.drain.LAST_CALL", LONG)
    with running(engine=engine) as server:
        caller = Caller(server.address, mute=True)
        wait_until(caller.half_way, what="the kernel has its SYN")
        server.drain(quiet=math.inf)
        wait_until(lambda: server.draining)
        assert Caller(server.address).fate() == "ECONNREFUSED"
        caller.hear()
        assert caller.fate() == "X"  # when the kernel has said once more what it did not hear


def test_the_last_call_is_over_when_drain_is_called_again(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("knote.apps.drain.LAST_CALL", math.inf)
    with running(engine=engine) as server:
        server.drain(LONG, quiet=LONG)
        wait_until(lambda: server.draining)
        server.drain(quiet=0)
        over(server)


def test_a_unix_socket_refuses_before_the_last_accept(engine: str, tmp_path: Path) -> None:
    name = f"{tmp_path}/up"  # without a file, which would be taken away before the close
    early: list[Caller] = []
    late: list[Caller] = []
    with running(engine=engine, listen=[f"unix:@{name}"]) as server:
        Watched(
            server,
            shutdown=lambda: early.append(Caller("\0" + name)),
            close=lambda: late.append(Caller("\0" + name)),
        )
        server.drain()
        wait_until(lambda: early, what="it is shut down")
        assert early.pop().fate() == "X"
        over(server)
    assert [one.fate() for one in late] == ["ECONNREFUSED"]


def test_who_comes_late_is_told_of_the_end(engine: str) -> None:
    with Server(service=Working, engine=engine) as server, dial(server) as sock:
        server.drain(quiet=math.inf)  # nobody is accepted before it begins
        server.start()
        assert exactly(sock, 1) == b"."
        sock.close()
        assert server.join(LONG)


def test_a_worker_that_hears_of_the_end_late_resets_nobody(tmp_path: Path, engine: str) -> None:
    with crew(tmp_path, "--workers", "2", "--engine", engine, service="upper") as server:
        quick, slow = server.workers()
        os.kill(slow, signal.SIGSTOP)
        wait_until(lambda: state(slow) == "T", LONG, "it stands still")
        server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: gone(quick), LONG, "the other one has ended")
        # Both doors are still open, since who stands still has a copy of each.
        callers = [Caller((server.host, server.port)) for _ in range(MANY)]
        os.kill(slow, signal.SIGCONT)
        fates = Counter(one.fate() for one in callers)
        assert set(fates) == {"X", "ECONNREFUSED"}
        assert ended(server.process) == 0
