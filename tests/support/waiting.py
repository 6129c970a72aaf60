"""Deadlines instead of sleeps: time orders nothing here, it only bounds how long we wait."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

SOON: Final = 20.0
"""Seconds within which what must happen has happened, on the slowest machine that tests."""

HARDLY: Final = 0.05
"""Seconds for which what must not happen is given a chance (spec section 8, rule 4)."""

_FIRST_NAP: Final = 0.0001
_LONGEST_NAP: Final = 0.01


def wait_until(predicate: Callable[[], object], deadline: float = SOON, what: str = "") -> None:
    """Return as soon as *predicate()* is true; AssertionError after *deadline* seconds."""
    end = time.monotonic() + deadline
    nap = _FIRST_NAP
    while not predicate():
        if time.monotonic() >= end:
            name = what or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"not within {deadline} s: {name}")
        time.sleep(nap)
        nap = min(nap * 2, _LONGEST_NAP)


def in_a_wait(number: int) -> bool:
    """Whether this thread, or the first one of this process, waits for events: asleep alone does not say so, since
    who waits for the GIL is, too."""
    where = _wchan(number)
    if where == "0" and _asleep(number):
        where = _wchan(number)  # it ran, and may be asleep by now
        if where == "0":
            return _asleep(number)  # a kernel that does not say where: that must do
    # ep_poll, do_sys_poll...; read_events is io_getevents(2), io_cqring_wait io_uring_enter(2).
    return "poll" in where or "ring" in where or where == "read_events"


def _wchan(number: int) -> str:
    return Path(f"/proc/{number}/wchan").read_text()


def _asleep(number: int) -> bool:
    return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] == "S"


@contextmanager
def alarm_in_the_wait() -> Iterator[None]:
    """SIGALRM comes to this thread once it waits for events, in the block."""
    me, number = threading.get_ident(), threading.get_native_id()

    def ring() -> None:
        wait_until(lambda: in_a_wait(number), what="the thread waits for events")
        signal.pthread_kill(me, signal.SIGALRM)

    ringer = threading.Thread(target=ring)
    ringer.start()
    try:
        yield
    finally:
        ringer.join()
