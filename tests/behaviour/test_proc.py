"""EVFILT_PROC: how processes end, and who may know."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISABLE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_EOF,
    EV_ERROR,
    EV_ONESHOT,
    EV_RECEIPT,
    EVFILT_READ,
    NOTE_EXIT,
    NOTE_EXITSTATUS,
    NOTE_SIGNAL,
)
from tests.behaviour.words import ROOM, apply, idle, polls, proc, ready
from tests.support.children import Child, Orphan
from tests.support.events import brief
from tests.support.leaks import descriptors
from tests.support.waiting import HARDLY, SOON

Spawn = Callable[..., Child]


@pytest.fixture
def spawn() -> Iterator[Spawn]:
    """Make children; all are reaped at the end."""
    made: list[Child] = []

    def one(code: int = 0, work: Callable[[], object] | None = None) -> Child:
        made.append(Child(code, work))
        return made[-1]

    yield one
    for child in made:
        child.close()


def collect(kq: Any, count: int = 1) -> list[Any]:
    """Wait until so many events have come."""
    events: list[Any] = []
    while len(events) < count:
        got = kq.control(None, ROOM, SOON)
        assert got, f"{len(events)} of {count} events within {SOON} s"
        events += got
    return events


def pidfds() -> int:
    """How many are open in this process."""
    return sum("pidfd" in link for link in descriptors().values())


def test_exit_status_ok(kq: Any, spawn: Spawn) -> None:
    """S-201, S-202, S-204; traces proc_exit, proc_exit_killed.  libkqueue: proc_exit_status_ok, _error."""
    for code in (0, 1, 255):
        child = spawn(code)
        apply(kq, proc(child.pid, udata=child))
        idle(kq)
        child.go()
        (event,) = collect(kq)
        assert (event.ident, event.udata) == (child.pid, child)
        assert event.flags == EV_CLEAR | EV_ONESHOT | EV_EOF
        assert (event.fflags, event.data) == (NOTE_EXIT, code << 8)
        assert child.reap() == event.data
        idle(kq)
        with pytest.raises(FileNotFoundError):
            apply(kq, proc(child.pid, EV_DELETE))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
def test_exit_signal_decode(kq: Any, spawn: Spawn, number: int) -> None:
    """S-202."""
    child = spawn()
    apply(kq, proc(child.pid))
    child.kill(number)
    (event,) = collect(kq)
    assert os.WIFSIGNALED(event.data)
    assert os.WTERMSIG(event.data) == number
    assert child.reap() == event.data


def test_the_core_flag(kq: Any, spawn: Spawn) -> None:
    """S-202: the flag of a core, as waitpid() gives it; whether there is one is the system's business."""

    def die() -> None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # no core in the source tree
        os.kill(os.getpid(), signal.SIGQUIT)

    child = spawn(0, die)
    apply(kq, proc(child.pid))
    child.go()
    (event,) = collect(kq)
    assert os.WTERMSIG(event.data) == signal.SIGQUIT
    assert child.reap() == event.data


def test_already_exited(kq: Any, spawn: Spawn) -> None:
    """S-198 →K; trace proc_zombie; libuv #3451: the classic race."""
    child = spawn(3)
    child.end()
    assert brief(ready(kq, proc(child.pid))) == [f"{child.pid} PROC ONESHOT|CLEAR|EOF ff=EXIT d=768"]
    assert child.reap() == 768


def test_a_zombie_without_note_exit_is_no_process(kq: Any, spawn: Spawn) -> None:
    """S-198."""
    child = spawn()
    child.end()
    with pytest.raises(ProcessLookupError):
        apply(kq, proc(child.pid, fflags=0))
    assert pidfds() == 0


def test_nonexistent_pid_esrch(kq: Any, spawn: Spawn) -> None:
    """S-197, S-199; libkqueue: proc_nonexistent_pid_esrch, proc_del_nonexistent."""
    child = spawn()
    child.reap()
    for pid in (child.pid, 0, 0x7FFFFFFF, 1 << 31, (1 << 64) - 1):
        with pytest.raises(ProcessLookupError, match="no process with this number"):
            apply(kq, proc(pid))
        with pytest.raises(FileNotFoundError):
            apply(kq, proc(pid, EV_DELETE))


def test_a_thread_is_no_process(kq: Any) -> None:
    """S-443: Linux numbers threads as well."""
    done = threading.Event()
    thread = threading.Thread(target=done.wait)
    thread.start()
    try:
        with pytest.raises(ProcessLookupError):
            apply(kq, proc(thread.native_id))
    finally:
        done.set()
        thread.join()


def test_self_and_the_first_process(kq: Any) -> None:
    """S-218; and S-443: whoever may see a process may watch it."""
    apply(kq, proc(os.getpid()), proc(1))
    idle(kq)
    apply(kq, proc(os.getpid(), EV_DELETE), proc(1, EV_DELETE))
    assert pidfds() == 0


def test_somebody_reaps_it_first(kq: Any, spawn: Spawn) -> None:
    """S-446: the status is still told."""
    child = spawn(5)
    apply(kq, proc(child.pid))
    assert child.reap() == 5 << 8
    (event,) = collect(kq)
    assert event.data == 5 << 8


def test_nothing_is_stolen_from_subprocess(kq: Any) -> None:
    """S-204."""
    child = subprocess.Popen([sys.executable, "-c", "raise SystemExit(4)"])
    apply(kq, proc(child.pid))
    (event,) = collect(kq)
    assert os.waitstatus_to_exitcode(event.data) == 4
    assert child.wait() == 4


def test_nothing_is_stolen_from_asyncio(kq: Any) -> None:
    """S-204."""

    async def run() -> tuple[int, Any]:
        child = await asyncio.create_subprocess_exec(sys.executable, "-c", "raise SystemExit(6)")
        apply(kq, proc(child.pid))
        code = await child.wait()
        return code, collect(kq)[0]

    code, event = asyncio.run(run())
    assert code == os.waitstatus_to_exitcode(event.data) == 6


def test_sigchld_ignored(kq: Any) -> None:
    """S-448: the child vanishes without becoming a zombie."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        for code in range(1, 20):
            pid = os.posix_spawn(
                sys.executable, [sys.executable, "-S", "-c", f"raise SystemExit({code})"], os.environ
            )
            apply(kq, proc(pid))
            (event,) = collect(kq)
            assert (event.ident, event.data) == (pid, code << 8)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_process_that_is_not_a_child(kq: Any) -> None:
    """S-203, S-447: its status, too."""
    orphan = Orphan(9)
    apply(kq, proc(orphan.pid))
    idle(kq)
    orphan.go()
    (event,) = collect(kq)
    assert (event.ident, event.data) == (orphan.pid, 9 << 8)


def test_modify_arms_late(kq: Any, spawn: Spawn) -> None:
    """S-215; libkqueue: proc_modify_arms_late."""
    child = spawn(2)
    apply(kq, proc(child.pid, fflags=0))
    apply(kq, proc(child.pid, udata="late"))
    child.go()
    (event,) = collect(kq)
    assert (event.fflags, event.data, event.udata) == (NOTE_EXIT, 2 << 8, "late")


def test_modify_disarms(kq: Any, spawn: Spawn) -> None:
    """S-059, S-205, S-215: nobody asked for the end, so the knote goes without a word."""
    child = spawn()
    apply(kq, proc(child.pid))
    apply(kq, proc(child.pid, fflags=0))
    child.end()
    idle(kq)
    with pytest.raises(FileNotFoundError):
        apply(kq, proc(child.pid, EV_DELETE))
    assert pidfds() == 0


def test_disable_preserves_events(kq: Any, spawn: Spawn) -> None:
    """S-216; trace proc_disabled.  An EV_ENABLE without notes takes nothing back that has happened."""
    child = spawn(5)
    apply(kq, proc(child.pid), proc(child.pid, EV_DISABLE, NOTE_EXIT))
    child.end()
    idle(kq)
    idle(kq)
    child.reap()
    (event,) = ready(kq, proc(child.pid, EV_ENABLE, 0))
    assert (event.fflags, event.data) == (NOTE_EXIT, 5 << 8)


def test_add_disabled_never_fires(kq: Any, spawn: Spawn) -> None:
    """libkqueue, defect 16: EV_ADD|EV_DISABLE may fire before it is disabled."""
    child = spawn()
    child.end()
    assert ready(kq, proc(child.pid, EV_ADD | EV_DISABLE)) == []
    idle(kq)
    assert len(ready(kq, proc(child.pid, EV_ENABLE))) == 1


def test_delete_drains(kq: Any, spawn: Spawn) -> None:
    """libkqueue: proc_delete_drains, proc_disable_drains."""
    child = spawn()
    apply(kq, proc(child.pid))
    child.end()
    assert polls(kq)
    apply(kq, proc(child.pid, EV_DELETE))
    idle(kq)
    assert pidfds() == 0


def test_modify_clobbers_udata(kq: Any, spawn: Spawn) -> None:
    """libkqueue: proc_modify_clobbers_udata, proc_udata_preserved; defect 15: EV_ENABLE replaces it as well."""
    child = spawn()
    apply(kq, proc(child.pid, udata=1), proc(child.pid, EV_ENABLE, NOTE_EXIT, udata=2))
    child.go()
    (event,) = collect(kq)
    assert event.udata == 2


def test_receipt_preserved(kq: Any, spawn: Spawn) -> None:
    """libkqueue: proc_receipt_preserved."""
    child = spawn()
    (receipt,) = ready(kq, proc(child.pid, EV_ADD | EV_RECEIPT))
    assert (receipt.flags, receipt.data) == (EV_ERROR, 0)
    child.go()
    (event,) = collect(kq)
    assert event.flags == EV_CLEAR | EV_ONESHOT | EV_RECEIPT | EV_EOF


def test_dispatch_and_oneshot_end_alike(kq: Any, spawn: Spawn) -> None:
    """S-201: an end is the end of the knote."""
    for flags in (EV_DISPATCH, EV_ONESHOT, EV_CLEAR):
        child = spawn()
        apply(kq, proc(child.pid, EV_ADD | flags))
        child.go()
        (event,) = collect(kq)
        assert event.flags == EV_CLEAR | EV_ONESHOT | EV_EOF | flags
        with pytest.raises(FileNotFoundError):
            apply(kq, proc(child.pid, EV_DELETE))


def test_multiple_kqueue(engine: str, spawn: Spawn) -> None:
    """S-217; libkqueue: proc_multiple_kqueue."""
    queues = [knote.kqueue(engine=engine) for _ in range(5)]
    child = spawn(8)
    for kq in queues:
        apply(kq, proc(child.pid))
    child.go()
    assert [collect(kq)[0].data for kq in queues] == [8 << 8] * 5
    for kq in queues:
        kq.close()
    assert pidfds() == 0


def test_nested(engine: str, kq: Any, spawn: Spawn) -> None:
    """The outer queue is told of the inner one's processes."""
    child = spawn()
    with knote.kqueue(engine=engine) as outer:
        apply(outer, knote.kevent(kq.fileno(), EVFILT_READ, EV_ADD))
        apply(kq, proc(child.pid))
        idle(outer)
        child.go()
        (event,) = collect(outer)
        assert event.data == 1
        assert len(ready(kq)) == 1
        idle(outer)


def test_a_fork_leaves_the_parents_queue_alone(kq: Any, spawn: Spawn) -> None:
    """S-473: the child's queue is closed, and its copies of the pidfds with it."""
    child = spawn(1)
    apply(kq, proc(child.pid))
    other = spawn(0, lambda: os._exit(int(not kq.closed) + 2 * pidfds()))
    assert other.reap() == 0
    child.go()
    assert collect(kq)[0].data == 1 << 8


def test_one_thread_waits_another_adds(kq: Any, spawn: Spawn) -> None:
    """A process that is added while another thread waits wakes it."""
    got: list[Any] = []
    thread = threading.Thread(target=lambda: got.extend(kq.control(None, 8, SOON)))
    thread.start()
    child = spawn(3)
    apply(kq, proc(child.pid))
    child.go()
    thread.join()
    assert [event.data for event in got] == [3 << 8]


def test_fork_storm_is_told_once_each(kq: Any, spawn: Spawn) -> None:
    """S-217; libkqueue: proc_fork_storm.  With little room, and two threads collecting."""
    children = [spawn(i % 200) for i in range(60)]
    apply(kq, *(proc(child.pid, udata=i % 200) for i, child in enumerate(children)))
    got: list[Any] = []
    lock = threading.Lock()

    def gather() -> None:
        while len(got) < len(children):
            events = kq.control(None, 3, HARDLY)
            with lock:
                got.extend(events)

    threads = [threading.Thread(target=gather) for _ in range(2)]
    for thread in threads:
        thread.start()
    for child in children:
        child.go()
    for thread in threads:
        thread.join(2 * SOON)
    assert sorted(event.ident for event in got) == sorted(child.pid for child in children)
    assert all(event.data == event.udata << 8 for event in got)


def test_room_for_one_at_a_time(kq: Any, spawn: Spawn) -> None:
    """What has no room stays, and its descriptor is given back all the same."""
    children = [spawn(i) for i in range(10)]
    apply(kq, *(proc(child.pid) for child in children))
    for child in children:
        child.end()
    events = [kq.control(None, 1, 0)[0] for _ in children]
    assert {event.ident: event.data >> 8 for event in events} == {c.pid: i for i, c in enumerate(children)}
    idle(kq)
    assert pidfds() == 0


def test_notes_of_macos(kq: Any, spawn: Spawn) -> None:
    """NOTE_EXITSTATUS is taken, NOTE_SIGNAL refused: Linux could never tell it."""
    child = spawn(1)
    apply(kq, proc(child.pid, fflags=NOTE_EXIT | NOTE_EXITSTATUS))
    with pytest.raises(OSError, match="NOTE_SIGNAL: Linux tells nobody") as refused:
        apply(kq, proc(child.pid, fflags=NOTE_EXIT | NOTE_SIGNAL))
    assert refused.value.errno == errno.ENOTSUP
    child.go()
    (event,) = collect(kq)
    assert (event.fflags, event.data) == (NOTE_EXIT, 1 << 8)


def test_close_gives_the_descriptors_back(engine: str, spawn: Spawn) -> None:
    """With knotes that wait, that have fired, and that are disabled."""
    children = [spawn() for _ in range(3)]
    kq = knote.kqueue(engine=engine)
    apply(kq, *(proc(child.pid) for child in children), proc(children[1].pid, EV_DISABLE, NOTE_EXIT))
    for child in children[:2]:
        child.end()
    assert polls(kq)
    kq.close()
    assert pidfds() == 0
