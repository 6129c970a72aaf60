"""EVFILT_SIGNAL beside what the program does with its signals: handlers, SIG_IGN, defaults, asyncio."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import faulthandler
import os
import signal
import threading
from signal import signal as signal_by_another_name
from typing import Any

import pytest

from knote import EV_DELETE
from tests.behaviour.signals import RT, USR1, USR2, data, disposition, dispositions, program, send, sig, told_by
from tests.behaviour.words import apply, idle, ready
from tests.support.plumbing import Pipe
from tests.support.waiting import SOON, wait_until

__all__ = ["dispositions"]


# -- handlers -----------------------------------------------------------------------------------------------


def test_a_handler_that_comes_later(kq: Any) -> None:
    """signal.signal() answers what the program had there, and is counted from at once (S-460)."""
    came: list[int] = []

    def first(number: int, _frame: Any) -> None:
        came.append(number)

    def second(number: int, _frame: Any) -> None:
        came.append(-number)

    signal.signal(USR1, first)
    apply(kq, sig(USR1))
    assert signal.getsignal(USR1) is first
    assert signal_by_another_name(USR1, second) is first
    assert signal.getsignal(USR1) is second
    send(USR1, 2)
    assert data(kq) == [2]
    assert came == [-USR1, -USR1]
    assert signal.signal(USR1, signal.SIG_IGN) is second
    send(USR1, 3)
    assert data(kq) == [3]
    assert signal.signal(USR1, first) == signal.SIG_IGN
    send(USR1)
    assert data(kq) == [1]
    assert came == [-USR1, -USR1, USR1]
    apply(kq, sig(USR1, EV_DELETE))
    assert signal.getsignal(USR1) is first
    send(USR1)
    assert came[3:] == [USR1]


@pytest.mark.needs("EVFILT_SIGNAL in threads")
def test_a_handler_that_comes_while_another_thread_waits(kq: Any) -> None:
    """It need not come back to control() for that."""
    signal.signal(USR1, signal.SIG_IGN)
    apply(kq, sig(USR1))
    got: list[Any] = []
    waiter = threading.Thread(target=lambda: got.extend(kq.control(None, 8, SOON)))
    waiter.start()
    wait_until(lambda: _sleeps(waiter.native_id))
    signal.signal(USR1, lambda *_: None)
    send(USR1)
    waiter.join()
    assert [event.data for event in got] == [1]


def _sleeps(task: int | None) -> bool:
    with open(f"/proc/self/task/{task}/wchan") as file:
        where = file.read()
    # ep_poll, do_poll, poll_schedule_timeout of select(2); read_events of io_getevents(2)
    return "poll" in where or "read_events" in where


@pytest.mark.parametrize("handler", [signal.SIG_IGN, signal.SIG_DFL, lambda *_: None])
@pytest.mark.parametrize("restarts", [True, False])
def test_deleting_restores_all_of_it(kq: Any, handler: Any, restarts: bool) -> None:
    """Handler, flags and mask."""
    signal.signal(USR1, handler)
    signal.siginterrupt(USR1, not restarts)
    before = disposition(USR1)
    apply(kq, sig(USR1))
    apply(kq, sig(USR1, EV_DELETE))
    assert disposition(USR1) == before


@pytest.mark.needs("EVFILT_SIGNAL beside C")
def test_its_flags_are_kept_and_may_be_changed(kq: Any) -> None:
    """siginterrupt(3), which asyncio calls, changes what is there and means the program's."""
    signal.signal(USR1, lambda *_: None)
    _, flags, mask = disposition(USR1)
    apply(kq, sig(USR1))
    sa_siginfo, sa_restart = 4, 0x10000000
    assert disposition(USR1)[1:] == (flags | sa_siginfo, mask)
    signal.siginterrupt(USR1, False)
    send(USR1)
    assert data(kq) == [1]
    apply(kq, sig(USR1, EV_DELETE))
    assert disposition(USR1)[1] == flags | sa_restart


def test_what_the_program_put_there_meanwhile_stays(kq: Any) -> None:
    """Deleting undoes knote's work, and nobody else's."""
    signal.signal(USR1, signal.SIG_IGN)
    apply(kq, sig(USR1))
    signal.signal(USR1, signal.SIG_DFL)
    before = disposition(USR1)
    apply(kq, sig(USR1, EV_DELETE))
    assert disposition(USR1) == before


def test_masks_are_not_touched(kq: Any) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    signal.signal(USR1, signal.SIG_IGN)
    apply(kq, sig(USR1), sig(RT), sig(signal.SIGCHLD))
    idle(kq)
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


@pytest.mark.needs("EVFILT_SIGNAL beside C")
@pytest.mark.parametrize("chain", [False, True])
def test_faulthandler_before(kq: Any, chain: bool) -> None:
    """A handler of C code is called, and with it what it chains to.  One that chains takes itself out to do so and
    puts itself back over ours: the next call notices."""
    came: list[int] = []
    signal.signal(USR1, lambda number, _frame: came.append(number))
    with open(os.devnull, "w") as dump:
        faulthandler.register(USR1, dump, chain=chain)
        try:
            apply(kq, sig(USR1))
            send(USR1)
            assert data(kq) == [1]
            send(USR1)
            assert data(kq) == [1]
            assert len(came) == (2 if chain else 0)
            apply(kq, sig(USR1, EV_DELETE))
        finally:
            faulthandler.unregister(USR1)


@pytest.mark.needs("EVFILT_SIGNAL beside C")
@pytest.mark.parametrize("chain", [False, True])
def test_faulthandler_after(kq: Any, chain: bool) -> None:
    """Put over ours, without Python's knowledge: the next change or event is in front of it again.  One that
    chains calls us as the one before it, which is counted once and ends where the program's own handler is."""
    came: list[int] = []
    signal.signal(USR1, lambda number, _frame: came.append(number))
    apply(kq, sig(USR1))
    with open(os.devnull, "w") as dump:
        faulthandler.register(USR1, dump, chain=chain)
        try:
            assert ready(kq, sig(USR1)) == []
            for _ in range(3):
                send(USR1)
                assert data(kq) == [1]
            assert len(came) == (3 if chain else 0)
        finally:
            faulthandler.unregister(USR1)
    assert ready(kq, sig(USR1)) == []
    send(USR1)
    assert data(kq) == [1]
    assert len(came) == (4 if chain else 1)


# -- default actions and SIG_IGN ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGRTMIN])
def test_what_kills_by_default_kills(number: int) -> None:
    """S-227."""
    with program(f"kq.control([sig({number:d})], 0); os.kill(me, {number:d}); time.sleep(20)") as running:
        running.communicate(timeout=20)
    assert running.returncode == -number


def test_the_default_comes_back() -> None:
    """SIG_DFL put there by the program while it is registered kills as well."""
    with program(
        """
        signal.signal(signal.SIGTERM, lambda *_: None)
        kq.control([sig(signal.SIGTERM)], 0)
        os.kill(me, signal.SIGTERM)
        assert counts() == [(15, 1)]
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        kq.control(None, 1, 0)
        os.kill(me, signal.SIGTERM)
        time.sleep(20)
        """
    ) as running:
        said, _ = running.communicate(timeout=20)
    assert running.returncode == -signal.SIGTERM, said


def test_what_stops_by_default_stops() -> None:
    """By its own signal, each time; and it is counted, as FreeBSD counts it when it is sent.

    In a process group whose parent is in another one: in an orphaned group, as that of tests in the background of
    a shell that has gone, the kernel discards this signal (setpgid(2))."""
    with program(
        """
        kq.control([sig(signal.SIGTSTP)], 0)
        print("begun", flush=True)
        while not (got := counts(20)): pass
        print(got, flush=True)
        while not (got := counts(20)): pass
        print(got, flush=True)
        """,
        own_group=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "begun\n"
        for _ in range(2):
            os.kill(running.pid, signal.SIGTSTP)
            _, status = os.waitpid(running.pid, os.WUNTRACED)
            assert os.WIFSTOPPED(status) and os.WSTOPSIG(status) == signal.SIGTSTP
            os.kill(running.pid, signal.SIGCONT)
            assert running.stdout.readline() == "[(20, 1)]\n"
        running.communicate(timeout=20)
    assert running.returncode == 0


def test_ctrl_c_is_still_a_keyboard_interrupt() -> None:
    """And the event is there for who goes on."""
    said = told_by(
        """
        kq.control([sig(signal.SIGINT)], 0)
        try:
            threading.Timer(0.05, os.kill, (me, signal.SIGINT)).start()
            kq.control(None, 8, 20)
        except KeyboardInterrupt:
            print("interrupted", counts())
        """
    )
    assert said == [f"interrupted {[(2, 1)]}"]


def test_exit_while_registered() -> None:
    """sys.exit() from a handler, with signals still coming."""
    with program(
        """
        signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7))
        kq.control([sig(signal.SIGUSR1), sig(signal.SIGUSR2), sig(signal.SIGCHLD)], 0)
        os.kill(me, signal.SIGUSR1)
        """
    ) as running:
        running.communicate(timeout=20)
    assert running.returncode == 7


@pytest.mark.needs("EVFILT_SIGNAL in threads")
def test_an_ignored_signal_interrupts_nobody(kq: Any, pipe: Pipe) -> None:
    """SIG_IGN becomes a handler, so the kernel is told to restart what it interrupts."""
    signal.signal(USR1, signal.SIG_IGN)
    apply(kq, sig(USR1))
    os.set_blocking(pipe.r, True)
    libc = ctypes.CDLL(None, use_errno=True)
    answer: list[int] = []
    reader = threading.Thread(
        target=lambda: answer.append(libc.read(pipe.r, ctypes.create_string_buffer(1), 1))
    )
    reader.start()
    wait_until(lambda: _reads(reader.native_id))
    assert reader.ident is not None
    signal.pthread_kill(reader.ident, USR1)
    assert [event.data for event in kq.control(None, 8, SOON)] == [1]
    pipe.write(b"x")
    reader.join()
    assert answer == [1]


def _reads(task: int | None) -> bool:
    with open(f"/proc/self/task/{task}/wchan") as file:
        return "pipe" in file.read()


# -- asyncio, wake-up descriptors, waiting for signals ------------------------------------------------------


def test_asyncios_handlers(kq: Any) -> None:
    """add_signal_handler(), which takes the wake-up descriptor for itself, before and after."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        came: list[str] = []
        done = asyncio.Event()

        def note(name: str) -> None:
            came.append(name)
            if len(came) == 2:
                done.set()

        loop.add_signal_handler(USR1, note, "before")
        apply(kq, sig(USR1), sig(USR2))
        loop.add_signal_handler(USR2, note, "after")
        send(USR1)
        send(USR2)
        await asyncio.wait_for(done.wait(), SOON)
        assert [(e.ident, e.data) for e in ready(kq)] == [(USR1, 1), (USR2, 1)]
        loop.remove_signal_handler(USR1)
        loop.remove_signal_handler(USR2)
        return came

    assert asyncio.run(main()) == ["before", "after"]
    apply(kq, sig(USR1, EV_DELETE), sig(USR2, EV_DELETE))


def test_the_wakeup_descriptor_gets_each(kq: Any, pipe: Pipe) -> None:
    """S-461: it is the program's, and is not touched."""
    signal.signal(USR1, lambda *_: None)
    before = signal.set_wakeup_fd(pipe.w, warn_on_full_buffer=False)
    try:
        apply(kq, sig(USR1))
        send(USR1, 3)
        assert data(kq) == [3]
        assert os.read(pipe.r, 99) == bytes([USR1] * 3)
        assert signal.set_wakeup_fd(-1) == pipe.w
    finally:
        signal.set_wakeup_fd(before)


def test_a_knote_that_cannot_be_had_leaves_no_handler(kq: Any) -> None:
    """Nothing half-applied."""
    before = disposition(USR1)
    with pytest.raises(OSError) as caught:
        apply(kq, sig(1 << 20))
    assert caught.value.errno == errno.EINVAL
    assert disposition(USR1) == before
