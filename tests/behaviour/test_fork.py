"""fork(): the child's queue is closed, the parent's is untouched, whatever else goes on."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_ONESHOT
from tests.behaviour.words import ROOM, apply, idle, read, ready, timer, trigger, user, write
from tests.support.events import brief
from tests.support.plumbing import Pair, Pipe, drain
from tests.support.waiting import SOON, wait_until

# CPython 3.12 warns of fork() beside threads; that is what some of these are about.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def in_child(body: Callable[[], object]) -> str:
    """What the body returns, or raises, in a forked child."""
    r, w = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            said = str(body())
        except BaseException as error:
            said = f"{type(error).__name__}: {error}"
        os.write(w, said.encode())
        os._exit(0)
    os.close(w)
    said = b""
    while more := os.read(r, 4096):
        said += more
    os.close(r)
    os.waitpid(pid, 0)
    return said.decode()


def is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


@pytest.mark.parametrize(
    "call",
    [
        lambda kq: kq.control(None, 1, 0),
        lambda kq: kq.control([user(1)], 0),
        lambda kq: kq.fileno(),
        lambda kq: kq.__enter__(),
    ],
)
def test_the_childs_is_closed(kq: Any, call: Any) -> None:
    """S-004, S-005, S-295, S-335."""
    assert in_child(lambda: call(kq)) == "ValueError: I/O operation on closed kqueue object"
    assert in_child(lambda: kq.closed) == "True"
    assert in_child(kq.close) == "None"
    assert not kq.closed


def test_the_childs_numbers_are_free(kq: Any, socketpair: Pair) -> None:
    """S-004, S-475: closed, and not merely unusable; the lanes' and clocks' as well."""
    before = set(os.listdir("/proc/self/fd"))
    fd = socketpair.fd_a
    apply(kq, read(fd, EV_ADD | EV_CLEAR), write(fd, EV_ADD | EV_CLEAR), timer(1, data=99_999))
    more = {int(n) for n in set(os.listdir("/proc/self/fd")) - before if is_open(int(n))}
    ours = {kq.fileno(), *more}
    assert in_child(lambda: [number for number in ours if is_open(number)]) == "[]"
    assert all(map(is_open, ours))


def test_the_parents_goes_on(kq: Any, pipe: Pipe, socketpair: Pair) -> None:
    """S-005, S-402, S-473: the child's end takes no interest out of the set that both share."""
    fd = socketpair.fd_a
    both = [read(fd, EV_ADD | EV_CLEAR), write(fd, EV_ADD | EV_CLEAR)]
    apply(kq, read(pipe.r), user(1, EV_ADD | EV_CLEAR), timer(2, EV_ADD | EV_ONESHOT, data=20))
    assert brief(ready(kq, *both)) == [f"{fd} WRITE CLEAR"]
    assert in_child(kq.close) == "None"
    assert in_child(lambda: os.close(pipe.r)) == "None"
    pipe.write(b"x")
    socketpair.b.send(b"12")
    apply(kq, trigger(1))
    got: list[str] = []
    wait_until(lambda: got.extend(brief(ready(kq))) or len(set(got)) >= 4)
    assert set(got) == {
        f"{pipe.r} READ d=1",
        f"{fd} READ CLEAR d=2",
        "1 USER CLEAR d=0",
        "2 TIMER ONESHOT|CLEAR d=1",
    }
    apply(kq, read(pipe.r, EV_DELETE))
    idle(kq)


def test_a_child_may_have_a_queue_of_its_own(kq: Any, engine: str, pipe: Pipe) -> None:
    """S-004: even under the same number, while the parent's object still stands for it."""
    number = kq.fileno()

    def body() -> str:
        with knote.kqueue(engine=engine) as own:
            pipe.write(b"123")
            said = f"{own.fileno() == number} {brief(ready(own, read(pipe.r)))} {kq.closed}"
        kq.close()
        return said

    apply(kq, read(pipe.r))
    assert in_child(body) == f"True ['{pipe.r} READ d=3'] True"
    assert brief(ready(kq)) == [f"{pipe.r} READ d=3"]


def test_closing_in_the_child_closes_nothing_new(kq: Any) -> None:
    """S-295: a number that the child gave to something else is not the queue's any more."""
    number = kq.fileno()

    def body() -> str:
        r, _ = os.pipe()
        os.dup2(r, number)
        kq.close()
        return str(is_open(number))

    assert in_child(body) == "True"


def test_a_child_of_the_child(kq: Any) -> None:
    assert in_child(lambda: in_child(lambda: kq.closed)) == "True"
    assert ready(kq) == []


def test_a_handle_made_by_fromfd_is_closed_too(kq: Any) -> None:
    """S-294, S-295."""
    other = knote.kqueue.fromfd(kq.fileno())
    assert in_child(lambda: other.closed) == "True"
    assert "ValueError" in in_child(lambda: other.control(None, 1, 0))
    apply(other, user(1))
    apply(kq, user(1, EV_DELETE))


def test_a_queue_that_was_let_go_of_in_the_child(engine: str, pipe: Pipe) -> None:
    """S-293, S-402: the finalizer of the child's object does not reach the parent either."""
    queues = [knote.kqueue(engine=engine)]
    apply(queues[0], read(pipe.r))
    assert in_child(queues.clear) == "None"
    pipe.write(b"x")
    assert brief(ready(queues[0])) == [f"{pipe.r} READ d=1"]
    queues.pop().close()


def test_fork_while_others_use_the_queue(kq: Any, engine: str, pipe: Pipe) -> None:
    """Spec section 8 rule 9, S-473: whoever holds the lock at that moment, the child neither waits
    for it nor touches what the parent has."""
    stop = threading.Event()
    broken: list[BaseException] = []

    def use(base: int) -> None:
        try:
            while not stop.is_set():
                kq.control([user(base), trigger(base), user(base, EV_DELETE)], 0)
                kq.control(None, 4, 0.0005)
        except BaseException as error:
            broken.append(error)

    def body() -> str:
        with knote.kqueue(engine=engine) as own:
            apply(own, user(1))
            return f"{kq.closed} {brief(ready(own, trigger(1)))}"

    users = [threading.Thread(target=use, args=[base]) for base in (10, 20, 30)]
    for one in users:
        one.start()
    try:
        for _ in range(25):
            assert in_child(body) == "True ['1 USER d=0']"
    finally:
        stop.set()
        for one in users:
            one.join(SOON)
    assert not broken
    pipe.write(b"x")
    assert brief(ready(kq, read(pipe.r))) == [f"{pipe.r} READ d=1"]


def test_fork_while_another_thread_waits(kq: Any, pipe: Pipe) -> None:
    """S-005: the waiter waits on."""
    got: list[Any] = []
    apply(kq, read(pipe.r))
    waiter = threading.Thread(target=lambda: got.extend(kq.control(None, ROOM, None)))
    waiter.start()
    for _ in range(3):
        assert in_child(lambda: kq.closed) == "True"
    assert waiter.is_alive()
    pipe.write(b"x")
    waiter.join(SOON)
    assert brief(got) == [f"{pipe.r} READ d=1"]


def test_fork_in_another_thread(kq: Any) -> None:
    """S-004: whichever thread forks."""
    said: list[str] = []
    forker = threading.Thread(target=lambda: said.append(in_child(lambda: kq.closed)))
    forker.start()
    forker.join()
    assert said == ["True"]
    assert ready(kq) == []


def test_fork_in_a_handler_of_the_wait(kq: Any) -> None:
    """S-310: control() in the child ends as on a closed queue; in the parent it goes on."""
    import signal

    said: list[str] = []
    before = signal.signal(
        signal.SIGALRM, lambda _number, _frame: said.append(in_child(lambda: kq.closed))
    )
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        events = kq.control([timer(1, EV_ADD | EV_ONESHOT, data=60)], 1, SOON)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert brief(events) == ["1 TIMER ONESHOT|CLEAR d=1"]
    assert said == ["True"]


def test_exec_takes_nothing_along(kq: Any, pipe: Pipe) -> None:
    """S-002, S-006, S-473: close-on-exec, all of it."""
    apply(kq, timer(1, data=99_999), read(pipe.r, EV_ADD | EV_CLEAR))
    assert not os.get_inheritable(kq.fileno())
    code = """
import os
paths = [f"/proc/self/fd/{number}" for number in range(3, 64)]
print(*[os.readlink(path) for path in paths if os.path.lexists(path)])
"""
    done = subprocess.run(
        [sys.executable, "-c", code], close_fds=False, capture_output=True, text=True, check=True
    )
    assert "event" not in done.stdout
    assert "timer" not in done.stdout
    assert drain(pipe.r) == 0
