"""The server as a library: in a thread of the test's process, on every engine."""

from __future__ import annotations

import errno
import os
import signal
import socket
import struct
import sys
import threading
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import pytest

from knote import kqueue
from knote.apps.drive_ready import RECEIVE
from knote.apps.journal import Journal
from knote.apps.server import Server
from knote.apps.service import ServiceError
from knote.apps.signals import Awake, StopSignals, awake
from tests.apps.programs import SIZES, beside, dial, exactly, running, to_the_end
from tests.support.waiting import HARDLY, SOON, wait_until

DRIVERS = True

HOSTS = ["127.0.0.1"] + (["::1"] if Path("/proc/net/if_inet6").exists() else [])


def reset(sock: socket.socket) -> None:
    """Close with a RST instead of a FIN."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def send_until_it_blocks(sock: socket.socket, most: int) -> int:
    """Send until nothing more is taken for a while; how many bytes were."""
    import select

    sock.setblocking(False)
    poller = select.poll()
    poller.register(sock, select.POLLOUT)
    sent = 0
    block = b"a" * 65536
    while sent < most and poller.poll(HARDLY * 10_000):
        try:
            sent += sock.send(block)
        except BlockingIOError:
            continue
    sock.settimeout(SOON)
    return sent


@pytest.mark.parametrize("host", HOSTS)
def test_it_answers_in_upper_case(engine: str, host: str) -> None:
    with running(host=host, engine=engine) as server:
        assert server.address[0] == host
        assert str(server) == (f"[{host}]" if ":" in host else host) + f":{server.address[1]}"
        with dial(server) as sock:
            sock.sendall(b"hello, w\xf6rld\0")
            assert exactly(sock, 13) == b"HELLO, W\xf6RLD\0"


@pytest.mark.parametrize(
    ("service", "answer"),
    [("upper", b"ABC"), ("echo", b"abc"), ("discard", b""), (lambda data: data[::-1], b"cba"),
     ("tests.apps.services:twice", b"abcabc"), ("tests.apps.services:Shout.loud", b"abc!"),
     (lambda data: bytearray(data), b"abc"), (lambda data: memoryview(data), b"abc")],
)  # fmt: skip
def test_services(service: Any, answer: bytes) -> None:
    with running(service) as server, dial(server) as sock:
        sock.sendall(b"abc")
        sock.shutdown(socket.SHUT_WR)
        assert to_the_end(sock) == answer


@pytest.mark.parametrize(
    ("service", "words"),
    [("lower", "choose upper, echo, discard"), ("no_such_module:f", "no module 'no_such_module'"),
     ("tests.apps.services:nothing", "has no 'nothing'"), ("tests.apps.services:NUMBER", "is a int"),
     ("tests.apps.services:Deaf", "without data"), (5, "not 5"), (":f", "choose"), ("os:", "choose")],
)  # fmt: skip
def test_what_is_no_service(service: Any, words: str) -> None:
    with pytest.raises(ServiceError, match=words):
        Server(service=service)


@pytest.mark.parametrize("size", SIZES)
def test_half_close_brings_all_replies_and_then_the_end(engine: str, size: int) -> None:
    data = os.urandom(size)
    with running(engine=engine) as server, dial(server) as sock:

        def send() -> None:
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)

        with beside(send):
            assert to_the_end(sock) == data.upper()
        wait_until(lambda: not len(server))


def test_a_client_that_reads_only_after_it_has_sent_everything(engine: str) -> None:
    with running("echo", engine=engine) as server, dial(server) as sock:
        sent = send_until_it_blocks(sock, 1 << 30)
        # Both socket buffers in both directions, and ours; not what it would like to send.
        assert sent < 1 << 26
        assert exactly(sock, sent) == b"a" * sent
        sock.sendall(b"and on")
        assert exactly(sock, 6) == b"and on"


def test_what_is_held_for_a_client_is_bounded(engine: str) -> None:
    with running("echo", engine=engine, high_water=100_000, low_water=1000) as server, dial(server) as sock:
        send_until_it_blocks(sock, 1 << 30)
        (connection,) = server.connections.values()
        assert 1000 < connection.pending <= 100_000 + RECEIVE
        with dial(server) as other:  # and the others do not notice
            other.sendall(b"me")
            assert exactly(other, 2) == b"me"


def test_a_service_that_makes_much_of_little(engine: str) -> None:
    with running(lambda data: data * 1_000_000, engine=engine) as server, dial(server) as sock:
        sock.sendall(b"abc")
        sock.shutdown(socket.SHUT_WR)
        assert to_the_end(sock) == b"abc" * 1_000_000


def test_resets_are_survived(engine: str) -> None:
    with running(engine=engine) as server:
        for _ in range(50):
            sock = dial(server)
            sock.sendall(b"x" * 10_000)
            reset(sock)
        stuck = dial(server)
        send_until_it_blocks(stuck, 1 << 30)
        reset(stuck)
        with dial(server) as sock:
            sock.sendall(b"still here")
            assert exactly(sock, 10) == b"STILL HERE"
        wait_until(lambda: not len(server))


def test_many_at_once(engine: str) -> None:
    with running(engine=engine) as server:
        socks = [dial(server) for _ in range(300)]
        for number, sock in enumerate(socks):
            sock.sendall(b"a%d" % number)
        for number, sock in enumerate(socks):
            assert exactly(sock, len(b"A%d" % number)) == b"A%d" % number
        assert len(server) == 300
        for sock in socks:
            sock.close()
        wait_until(lambda: not len(server))


def test_exactly_the_backlog_is_accepted(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    accepted: list[int] = []
    before = Server.arrived
    monkeypatch.setattr(
        Server, "arrived", lambda self, new: (accepted.append(len(new)), before(self, new))[1]
    )
    server = Server(engine=engine)
    socks = [dial(server) for _ in range(7)]
    with beside(server.run):
        wait_until(lambda: len(server) == 7)
        socks.append(dial(server))
        wait_until(lambda: len(server) == 8)
        server.stop()
    for sock in socks:
        sock.close()
    assert accepted == [7, 1]


class Door:
    """accept(2) that has no descriptors to give, as often as is said."""

    def __init__(self, accept: Any, refusals: int, number: int) -> None:
        self.accept, self.refusals, self.number, self.asked = accept, refusals, number, 0

    def __call__(self, fd: int) -> int:
        self.asked += 1
        if self.asked <= self.refusals:
            return -self.number
        accepted: int = self.accept(fd)
        return accepted


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ECONNABORTED])
def test_no_descriptor_for_a_while(number: int) -> None:
    """Nothing of ours is closed, so it is the timer that opens the door again; and it is said once.  On
    readiness: of a ring it is the kernel that accepts, and test_out_of_descriptors leaves it none."""
    told: list[str] = []
    server = Server(engine="epoll", tell=told.append)
    (listener,) = server.listeners
    listener.accept = door = Door(listener.accept, 3, number)
    with dial(server) as sock, beside(server.run):
        sock.sendall(b"in at last")
        assert exactly(sock, 10) == b"IN AT LAST"
        assert door.asked == 4
        server.stop()
    assert len(told) == (number != errno.ECONNABORTED)
    if number == errno.EMFILE:
        assert "RLIMIT_NOFILE" in told[0]
        assert "ulimit -n" in told[0]
    if number == errno.ENFILE:
        assert "fs.file-max" in told[0]


@pytest.mark.parametrize("service", ["fails", "text"])
def test_a_service_that_fails_ends_its_connection_only(service: str) -> None:
    told: list[str] = []
    with running(f"tests.apps.services:{service}", tell=told.append) as server:
        with dial(server) as sock:
            sock.sendall(b"bad")
            assert to_the_end(sock) == b""
        with dial(server) as sock:
            sock.sendall(b"good")
            assert exactly(sock, 4) == b"good"
    assert len(told) == 1
    assert "Traceback" in told[0]


@pytest.mark.parametrize("where", [None, "/dev/full"])
def test_where_nobody_hears_it_serves_all_the_same(where: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """sys.stderr is None where 2 was closed when Python started."""
    with open(where, "w", buffering=1) if where else nullcontext() as stream:
        monkeypatch.setattr(sys, "stderr", stream)
        with running("tests.apps.services:fails", journal=Journal()) as server:
            for _ in range(2):
                with dial(server) as sock:
                    sock.sendall(b"bad")
                    assert to_the_end(sock) == b""
        monkeypatch.undo()
        with suppress(OSError):
            if stream is not None:
                stream.close()


def test_stop_from_anywhere_and_twice(engine: str) -> None:
    server = Server(engine=engine)
    server.stop()
    server.run()  # what was asked for before it ran holds
    server.stop()
    server.close()
    server.close()
    with pytest.raises(ValueError, match="closed"):
        server.run()


def test_stopping_closes_what_is_open(engine: str) -> None:
    with running(engine=engine) as server:
        sock = dial(server)
        wait_until(lambda: len(server) == 1)
    with sock:
        assert to_the_end(sock) == b""
    with pytest.raises(ConnectionRefusedError):
        dial(server)


def test_a_server_that_never_ran_leaves_nothing() -> None:
    with Server() as server:
        assert server.address[1]


def test_an_address_that_is_taken() -> None:
    with Server() as server, pytest.raises(OSError, match="in use"):
        Server(port=server.address[1])


def test_water_marks_are_checked() -> None:
    with pytest.raises(ValueError, match="low_water"):
        Server(low_water=2, high_water=1)


def test_signals_stop_it_and_are_given_back(engine: str) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    for number in (signal.SIGTERM, signal.SIGINT):
        with Server(engine=engine) as server, StopSignals(server.kqueue, server.stop):
            timer = threading.Thread(target=lambda to=number: os.kill(os.getpid(), to))
            timer.start()
            server.run()
            timer.join()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before
    assert signal.set_wakeup_fd(-1) == -1


def test_signals_of_others_do_not_stop_it() -> None:
    got: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
    try:
        with Server() as server, StopSignals(server.kqueue, server.stop), dial(server) as sock:

            def disturb() -> None:
                os.kill(os.getpid(), signal.SIGUSR1)
                sock.sendall(b"x")
                assert exactly(sock, 1) == b"X"
                server.stop()

            with beside(disturb):
                server.run()
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert got == [signal.SIGUSR1]


def test_a_signal_just_before_a_wait_ends_it() -> None:
    """Its Python handler has run by then, or runs when the wait is over: signal(7) knows no such moment."""
    got: list[int] = []
    before = signal.signal(signal.SIGUSR1, lambda number, frame: got.append(number))
    try:
        with kqueue() as kq:
            with Awake(kq) as awoken:
                signal.raise_signal(signal.SIGUSR1)
                (event,) = kq.control(None, 1, SOON)
                assert event.udata is awoken
                awoken.ready(event)
                assert kq.control(None, 1, 0) == []
                assert got == [signal.SIGUSR1]
            assert kq.knotes() == []
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signal.set_wakeup_fd(-1) == -1


def test_a_thread_hears_no_signals_and_needs_no_waking() -> None:
    with kqueue() as kq:

        def nothing() -> None:
            with awake(kq) as awoken:
                assert awoken is None

        with beside(nothing):
            pass


def test_signals_belong_to_the_main_thread() -> None:
    with Server() as server:

        def refused() -> None:
            with pytest.raises(ValueError, match="main thread"):
                StopSignals(server.kqueue, server.stop).__enter__()

        with beside(refused):
            pass


def test_a_second_signal_interrupts() -> None:
    with Server() as server, pytest.raises(KeyboardInterrupt), StopSignals(server.kqueue, server.stop):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
