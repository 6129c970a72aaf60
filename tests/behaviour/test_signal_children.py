"""EVFILT_SIGNAL in programs with children: what they inherit and execute, forks, SIGCHLD."""

from __future__ import annotations

import signal
import subprocess
import threading
from typing import Any

import pytest

from knote import EV_DELETE
from tests.behaviour.signals import USR1, USR2, disposition, dispositions, sig, told_by
from tests.behaviour.words import apply
from tests.support.waiting import SOON

__all__ = ["dispositions"]


IGNORES = """
signal.signal(signal.SIGHUP, signal.SIG_IGN)
kq.control([sig(signal.SIGHUP)], 0)
def ignored(words):
    mask = int([line for line in words.splitlines() if line.startswith("SigIgn")][0].split()[1], 16)
    return bool(mask & 1)
status = ["cat", "/proc/self/status"]
"""


@pytest.mark.needs("EVFILT_SIGNAL in children")
def test_what_is_ignored_is_ignored_by_what_a_child_executes() -> None:
    """S-460: a handler is lost by execve(2), SIG_IGN is not.  nohup(1) lives of it."""
    said = told_by(
        IGNORES
        + """
print(ignored(subprocess.run(status, capture_output=True, text=True).stdout))
print(ignored(subprocess.run(status, capture_output=True, text=True, close_fds=False).stdout))
print(ignored(subprocess.run(status, capture_output=True, text=True, preexec_fn=int).stdout))
pid = os.fork()
if not pid:
    os.execvp("sh", ["sh", "-c", "kill -HUP $$; exit 3"])
print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
os.kill(me, signal.SIGHUP)
print(counts())
kq.control([sig(signal.SIGHUP, EV_DELETE)], 0)
print(subprocess._USE_VFORK, subprocess._USE_POSIX_SPAWN)
"""
    )
    assert said == ["True", "True", "True", "3", "[(1, 1)]", "True True"]


@pytest.mark.needs("EVFILT_SIGNAL in children")
def test_the_same_where_subprocess_is_imported_later() -> None:
    """The next control() sees to it."""
    said = told_by(
        "del sys.modules['subprocess']"
        + IGNORES
        + """
import subprocess
assert counts() == []
print(ignored(subprocess.run(status, capture_output=True, text=True).stdout))
kq.close()
print(subprocess._USE_VFORK)
"""
    )
    assert said == ["True", "True"]


def test_closing_in_another_thread_gives_back_what_it_can(kq: Any, engine: str) -> None:
    """Interpreted, only the main thread can exchange handlers: then the next signal.signal() does the rest."""
    import knote

    def handler(_number: int, _frame: Any) -> None:
        pass

    signal.signal(USR1, handler)
    queue = knote.kqueue(engine=engine)
    apply(queue, sig(USR1))
    closing = threading.Thread(target=queue.close)
    closing.start()
    closing.join()
    assert signal.getsignal(USR1) is handler
    signal.signal(USR2, signal.getsignal(USR2))
    assert signal.getsignal(USR1) is handler
    before = disposition(USR1)
    apply(kq, sig(USR1))
    apply(kq, sig(USR1, EV_DELETE))
    assert disposition(USR1) == before


def test_a_forked_child_counts_for_nobody() -> None:
    """S-237: it has its dispositions back, and may have queues of its own."""
    said = told_by(
        """
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)
        def ignored():
            with open("/proc/self/status") as status:
                return status.read().split("SigIgn:")[1].split()[0]
        before = ignored()
        kq.control([sig(signal.SIGUSR1)], 0)
        pid = os.fork()
        if not pid:
            ok = ignored() == before and signal.getsignal(signal.SIGUSR1) == signal.SIG_IGN
            os.kill(os.getpid(), signal.SIGUSR1)
            kq = kqueue()
            kq.control([sig(signal.SIGUSR1)], 0)
            os.kill(os.getpid(), signal.SIGUSR1)
            ok = ok and counts() == [(10, 1)]
            kq.close()
            os._exit(0 if ok else 1)
        print(os.waitpid(pid, 0)[1], counts(0.05))
        os.kill(me, signal.SIGUSR1)
        print(counts())
        """
    )
    assert said == ["0 []", "[(10, 1)]"]


def test_sigchld_by_default(kq: Any) -> None:
    """libkqueue refuses it where there is no pidfd (4.1).  Children stay to be waited for, their status exact."""
    apply(kq, sig(signal.SIGCHLD))
    children = [subprocess.Popen(["sh", "-c", f"exit {n}"]) for n in range(20)]
    assert [child.wait() for child in children] == list(range(20))
    (event,) = kq.control(None, 8, SOON)
    assert 1 <= event.data <= 20


@pytest.mark.parametrize("registered_first", [False, True])
def test_sigchld_ignored(registered_first: bool) -> None:
    """S-226: not counted, and the kernel goes on reaping."""
    lines = [
        "signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
        "kq.control([sig(signal.SIGCHLD)], 0)",
    ]
    said = told_by(
        "\n".join(reversed(lines) if registered_first else lines)
        + """
pid = os.fork()
if not pid:
    os._exit(3)
try:
    print(os.waitpid(pid, 0))
except ChildProcessError:
    print("reaped")
print(counts(0.05))
"""
    )
    assert said == ["reaped", "[]"]
