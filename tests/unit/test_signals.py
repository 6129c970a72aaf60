"""signals.py: being woken by a signal without a knote, as one who waits for children wants it."""

from __future__ import annotations

import errno
import os
import select
import signal
from collections.abc import Iterator

import pytest

from knote import signals
from knote._kernel.signal import Bell, count


@pytest.fixture
def bell() -> Iterator[Bell]:
    made = Bell()
    yield made
    made.close()


def rings(bell: Bell, seconds: float) -> bool:
    """Raised within so long; it is lowered then."""
    raised = bool(select.select([bell.fd], [], [], seconds)[0])
    if raised:
        bell.lower()
    return raised


def child() -> int:
    pid = os.fork()
    if not pid:
        os._exit(0)
    return pid


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_childs_end_rings(bell: Bell) -> None:
    assert signals.subscribe(bell, signal.SIGCHLD) == 0
    os.waitpid(child(), 0)
    assert rings(bell, 5)
    signals.unsubscribe(bell, signal.SIGCHLD)
    os.waitpid(child(), 0)
    assert not rings(bell, 0.05)


@pytest.mark.needs("EVFILT_SIGNAL beside C")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.parametrize("even_ignored", [False, True])
def test_an_ignored_one_rings_for_who_asks_for_it(bell: Bell, even_ignored: bool) -> None:
    """S-226: it is not counted, and the kernel reaps the child by itself."""
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        assert signals.subscribe(bell, signal.SIGCHLD, even_ignored) == 0
        counted = count(signal.SIGCHLD)
        with pytest.raises(ChildProcessError):
            os.waitpid(child(), 0)
        assert rings(bell, 5 if even_ignored else 0.05) == even_ignored
        assert count(signal.SIGCHLD) == counted
        signals.unsubscribe(bell, signal.SIGCHLD)
        assert signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGCHLD, before)


@pytest.mark.parametrize("number", [0, -1, 33, 65])
def test_what_is_no_signal(bell: Bell, number: int) -> None:
    assert signals.subscribe(bell, number) == errno.EINVAL
