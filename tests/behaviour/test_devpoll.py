"""knote.devpoll(): CPython's select.devpoll (spec 5.1)."""

from __future__ import annotations

import errno
import os
import random
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.behaviour.devices import ERR, HUP, IN, NVAL, OUT, PRI, SOON_MS, dp, pollfd
from tests.support.plumbing import Pair, Pipe
from tests.support.waiting import HARDLY, SOON, wait_until

__all__ = ["dp"]


def as_poll(dp: Any, *watched: tuple[int, int]) -> None:
    """It says what poll(2) says of the same set, now and once more."""
    poller = select.poll()
    for fd, mask in watched:
        poller.register(fd, mask)
        dp.modify(fd, mask)
    for _ in range(2):
        assert dict(dp.poll(0)) == dict(poller.poll(0))


def test_ready_now_and_later(dp: Any, pipe: Pipe) -> None:
    """S-351: level-triggered."""
    dp.register(pipe.r, IN)
    assert dp.poll(0) == []
    pipe.write(b"x")
    for _ in range(3):
        assert dp.poll() == [(pipe.r, IN)]
    os.read(pipe.r, 1)
    assert dp.poll(0) == []


def test_the_usual_mask(dp: Any, socketpair: Pair) -> None:
    """S-358: IN, PRI and OUT, in one entry."""
    dp.register(socketpair.a)
    assert dp.poll(0) == [(socketpair.fd_a, OUT)]
    socketpair.b.send(b"x")
    assert dp.poll(0) == [(socketpair.fd_a, IN | OUT)]


def test_registering_again_adds(dp: Any, socketpair: Pair) -> None:
    """S-348, S-358: the kernel ORs; modify() replaces."""
    socketpair.b.send(b"x")
    dp.register(socketpair.a, IN)
    dp.register(socketpair.a, OUT)
    assert dp.poll(0) == [(socketpair.fd_a, IN | OUT)]
    dp.modify(socketpair.a, OUT)
    assert dp.poll(0) == [(socketpair.fd_a, OUT)]
    dp.modify(socketpair.a, IN)
    assert dp.poll(0) == [(socketpair.fd_a, IN)]


def test_unregister(dp: Any, pipe: Pipe) -> None:
    """S-349: a number that is not there is no error."""
    pipe.write(b"x")
    dp.unregister(pipe.r)
    dp.register(pipe.r, IN)
    assert dp.poll(0) == [(pipe.r, IN)]
    dp.unregister(pipe.r)
    assert dp.poll(0) == []
    dp.unregister(pipe.r)


def test_hung_up_pipe(dp: Any, pipe: Pipe) -> None:
    """HUP is reported unasked, and goes on being reported."""
    pipe.write(b"x")
    dp.register(pipe.r, 0)
    assert dp.poll(0) == []
    pipe.close_w()
    as_poll(dp, (pipe.r, 0))
    assert dp.poll(0) == [(pipe.r, HUP)]
    as_poll(dp, (pipe.r, IN))
    os.read(pipe.r, 1)
    as_poll(dp, (pipe.r, IN))


def test_hung_up_while_it_sleeps(dp: Any, pipe: Pipe) -> None:
    dp.register(pipe.r, 0)
    closing = threading.Timer(HARDLY, pipe.close_w)
    closing.start()
    assert dp.poll(SOON_MS) == [(pipe.r, HUP)]
    closing.join()


def test_broken_pipe(dp: Any, pipe: Pipe) -> None:
    """The reader is gone: ERR, whatever was asked."""
    pipe.close_r()
    for mask in (0, IN, OUT):
        as_poll(dp, (pipe.w, mask))


def test_half_closed_and_closed(dp: Any, tcp_pair: Pair) -> None:
    tcp_pair.b.shutdown(socket.SHUT_WR)
    fd = tcp_pair.fd_a
    dp.register(fd, IN)
    assert dp.poll(SOON_MS) == [(fd, IN)]
    for mask in (IN, IN | OUT, OUT, IN | select.POLLRDHUP, select.POLLRDNORM):
        as_poll(dp, (fd, mask))
    tcp_pair.a.shutdown(socket.SHUT_WR)
    wait_until(lambda: bool(dict(dp.poll(0)).get(fd, 0) & HUP))
    as_poll(dp, (fd, IN))


def test_never_connected(dp: Any) -> None:
    """Linux: hung up, and room to write."""
    with socket.socket() as sock:
        for mask in (IN, OUT, IN | OUT, 0):
            as_poll(dp, (sock.fileno(), mask))


def test_error_on_a_datagram_socket(dp: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.bind(("127.0.0.1", 0))
            sock.connect(other.getsockname())
        dp.register(sock, IN)
        assert dp.poll(0) == []
        sock.send(b"nobody is there")
        assert dp.poll(SOON_MS) == [(sock.fileno(), ERR)]


def test_out_of_band(dp: Any, tcp_pair: Pair) -> None:
    dp.register(tcp_pair.a, PRI)
    tcp_pair.b.send(b"!", socket.MSG_OOB)
    assert dp.poll(SOON_MS) == [(tcp_pair.fd_a, PRI)]


def test_always_ready(dp: Any, tmp_path: Path, pipe: Pipe) -> None:
    """S-359: files and directories, as of poll(2); and they do not keep others out."""
    with open(tmp_path / "file", "w+b") as file:
        directory = os.open(tmp_path, os.O_RDONLY)
        as_poll(dp, (file.fileno(), IN | OUT), (directory, IN | OUT))
        dp.register(pipe.r, IN)
        pipe.write(b"x")
        assert (pipe.r, IN) in dp.poll(0)
        os.close(directory)
        dp.unregister(directory)


def test_closed_number(dp: Any, pipe: Pipe) -> None:
    """S-350: reported until it is taken out."""
    dp.register(pipe.r, IN)
    assert dp.poll(0) == []
    number = pipe.r
    pipe.close_r()
    for timeout in (0, None, SOON_MS):
        assert dp.poll(timeout) == [(number, NVAL)]
    dp.unregister(number)
    assert dp.poll(0) == []


def test_never_open(dp: Any) -> None:
    """S-350: accepted, and reported."""
    dp.register(12345, IN)
    assert dp.poll() == [(12345, NVAL)]


def test_reused_number(dp: Any, pipe: Pipe) -> None:
    """S-350: the new file, with the old mask."""
    dp.register(pipe.r, IN)
    assert dp.poll(0) == []
    other = Pipe()
    os.dup2(other.r, pipe.r)
    writing = threading.Timer(HARDLY, other.write, [b"x"])
    writing.start()
    assert dp.poll(SOON_MS) == [(pipe.r, IN)]
    writing.join()
    other.close()


def test_closed_and_registered_again(dp: Any) -> None:
    """The usual reuse: without unregister() in between."""
    one, two = socket.socketpair()
    dp.register(one, IN)
    assert dp.poll(0) == []
    number = one.fileno()
    one.close()
    again, other = socket.socketpair()
    assert again.fileno() == number
    dp.register(again, IN)
    other.send(b"x")
    assert dp.poll() == [(number, IN)]
    for sock in (two, again, other):
        sock.close()


def test_never_early_and_interrupted(dp: Any, pipe: Pipe) -> None:
    """S-351, S-356: a handler runs and the wait goes on with what is left of it."""
    dp.register(pipe.r, IN)
    hits: list[int] = []
    before = signal.signal(signal.SIGALRM, lambda *_: hits.append(1))
    signal.setitimer(signal.ITIMER_REAL, HARDLY / 2)
    try:
        start = time.monotonic()
        assert dp.poll(int(HARDLY * 2000)) == []
        assert time.monotonic() - start >= HARDLY * 2
    finally:
        signal.signal(signal.SIGALRM, before)
    assert hits == [1]


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda dp: dp.poll("1"), TypeError),
        (lambda dp: dp.poll(-2), OverflowError),
        (lambda dp: dp.poll(1 << 31), OverflowError),
        (lambda dp: dp.poll(float("inf")), OverflowError),
        (lambda dp: dp.poll(float("nan")), ValueError),
        (lambda dp: dp.register(0, -1), ValueError),
        (lambda dp: dp.register(0, 1 << 16), OverflowError),
        (lambda dp: dp.register(0, "IN"), TypeError),
        (lambda dp: dp.register(-1), ValueError),
        (lambda dp: dp.register(1 << 31), OverflowError),
        (lambda dp: dp.register(None), TypeError),
        (lambda dp: dp.modify(1 << 80), OverflowError),
        (lambda dp: dp.unregister(object()), TypeError),
        (lambda dp: type(dp)(), TypeError),
        (lambda dp: type("Sub", (type(dp),), {}), TypeError),
    ],
)
def test_refused(dp: Any, call: Callable[[Any], object], error: type[Exception]) -> None:
    """S-358; and nothing of it stays."""
    with pytest.raises(error):
        call(dp)
    assert dp.poll(0) == []


def test_close(dp: Any) -> None:
    """S-358."""
    assert not dp.closed
    assert not os.get_inheritable(dp.fileno())
    assert repr(dp) == f"<knote.devpoll fd={dp.fileno()}>"
    for _ in range(2):
        dp.close()
        assert dp.closed
    assert repr(dp) == "<knote.devpoll closed>"
    data = pollfd(0, IN)
    for call in (dp.fileno, dp.poll, lambda: dp.register(0), lambda: dp.write(data)):
        with pytest.raises(ValueError, match="closed devpoll"):
            call()


def test_in_a_child(dp: Any, pipe: Pipe) -> None:
    """S-354: it belongs to the process that opened it."""
    dp.register(pipe.r, IN)
    pid = os.fork()
    if not pid:
        try:
            dp.poll(0)
        except OSError as error:
            os._exit(error.errno or 0)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == errno.EACCES
    pipe.write(b"x")
    assert dp.poll(0) == [(pipe.r, IN)]


def test_its_descriptor_polls(dp: Any, pipe: Pipe) -> None:
    dp.register(pipe.r, IN)
    dp.poll(0)
    poller = select.poll()
    poller.register(dp, IN)
    assert not poller.poll(0)
    pipe.write(b"x")
    assert poller.poll(SOON_MS)


# ---- many --------------------------------------------------------------------------------------


def test_many_and_all_of_them(dp: Any) -> None:
    """Each once in one call, both directions in one entry, when all are ready at once."""
    pairs = [socket.socketpair() for _ in range(300)]
    for one, two in pairs:
        dp.register(one, IN | OUT)
        two.send(b"x")
    found = dp.poll(0)
    assert sorted(found) == sorted((one.fileno(), IN | OUT) for one, _ in pairs)
    for one, two in pairs:
        dp.unregister(one)
        one.close()
        two.close()


def test_threads(dp: Any) -> None:
    """Registered by one thread while another polls."""
    pairs = [socket.socketpair() for _ in range(50)]
    failed: list[BaseException] = []

    def register() -> None:
        try:
            for one, two in pairs:
                dp.register(one, IN)
                two.send(b"x")
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=register)
    thread.start()
    wait_until(lambda: len(dp.poll(1)) == len(pairs))
    thread.join()
    assert not failed
    for one, two in pairs:
        one.close()
        two.close()


@pytest.mark.needs("edges in threads")
@pytest.mark.parametrize("how", ["later", "now", "hung up", "file", "closed"])
@pytest.mark.parametrize("others", [0, 3])
def test_changed_while_another_thread_sleeps(dp: Any, pipe: Pipe, tmp_path: Path, how: str, others: int) -> None:
    """poll(4D): DP_POLL waits for the set as it becomes."""
    idle = [Pipe() for _ in range(others)]
    for each in idle:
        dp.register(each.r, IN)
    found: list[Any] = []
    sleeper = threading.Thread(target=lambda: found.append(dp.poll(SOON_MS)))
    sleeper.start()
    wait_until(lambda: _sleeps(sleeper))
    number, revents = pipe.r, IN
    if how == "now":
        pipe.write(b"x")
    elif how == "hung up":
        sock = socket.socket()  # which only poll(2) knows
        number, revents = sock.fileno(), HUP
    elif how == "file":
        file = (tmp_path / "file").open("wb")
        number = file.fileno()
    elif how == "closed":
        pipe.close_r()
        revents = NVAL
    dp.register(number, IN)
    if how == "later":
        pipe.write(b"x")
    sleeper.join(SOON)
    assert found == [[(number, revents)]]
    for each in idle:
        each.close()
    if how == "hung up":
        sock.close()
    if how == "file":
        file.close()


def test_taken_out_while_another_thread_sleeps(dp: Any, pipe: Pipe) -> None:
    """It is no longer reported."""
    dp.register(pipe.r, IN)
    found: list[Any] = []
    sleeper = threading.Thread(target=lambda: found.append(dp.poll(100)))
    sleeper.start()
    wait_until(lambda: _sleeps(sleeper))
    dp.unregister(pipe.r)
    pipe.write(b"x")
    sleeper.join(SOON)
    assert found == [[]]


def _sleeps(thread: threading.Thread) -> bool:
    with open(f"/proc/self/task/{thread.native_id}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "S"


def test_against_poll(dp: Any) -> None:
    """poll(2) is the oracle, over everything that a few descriptors go through."""
    chance = random.Random(7)
    masks: dict[int, int] = {}
    files: list[socket.socket] = []
    for _ in range(400):
        step = chance.randrange(6)
        if step == 0 or len(files) < 4:
            files.extend(socket.socketpair())
        elif step == 1:
            fd = chance.choice(files).fileno()
            mask = chance.choice([0, IN, OUT, IN | OUT, PRI, IN | select.POLLRDHUP])
            dp.modify(fd, mask)
            masks[fd] = mask
        elif step == 2:
            files.pop(chance.randrange(len(files))).close()
        elif step == 3:
            fd = chance.choice([*masks, 0])
            if masks.pop(fd, None) is not None:
                dp.unregister(fd)
        else:
            sock = chance.choice(files)
            sock.setblocking(False)
            try:
                if step == 4:
                    sock.send(b"x" * 100)
                else:
                    sock.recv(1000)
            except OSError:
                pass
        poller = select.poll()
        for fd, mask in masks.items():
            poller.register(fd, mask)
        # At once where nothing is ready; else what is reused comes in its turn.
        deadline = time.monotonic() + SOON
        while dict(dp.poll(0)) != dict(poller.poll(0)):
            assert time.monotonic() < deadline
    for sock in files:
        sock.close()
