"""What a test must not leave behind: descriptors, threads, children, signal handlers and masks.

``snapshot()`` before, ``complaints(before)`` after; the autouse fixture in conftest.py does both
around every test.
"""

from __future__ import annotations

import gc
import os
import signal
import threading
from dataclasses import dataclass
from typing import Any, Final

from tests.support.waiting import wait_until

TO_GO_S = 5.0
"""How long a thread or a child that is on its way out may take until it counts as left behind."""

_SIGNALS: Final = tuple(sorted(map(int, signal.valid_signals())))
"""Asked once: it makes an enumeration's member, or an exception, of each."""

_MASKS: Final = ("SigBlk", "SigIgn", "SigCgt")
"""In /proc/self/status: what the kernel knows, also of handlers that C code installed."""


@dataclass(frozen=True)
class Snapshot:
    """The process as it stands."""

    fds: dict[int, str]
    threads: frozenset[threading.Thread]
    tasks: frozenset[int]
    children: frozenset[int]
    handlers: dict[int, Any]
    masks: dict[str, int]


def descriptors() -> dict[int, str]:
    """Open numbers and what each links to."""
    found = {}
    for word in os.listdir("/proc/self/fd"):
        try:
            found[int(word)] = os.readlink(f"/proc/self/fd/{word}")
        except FileNotFoundError:  # the listing's own descriptor, gone again
            continue
    return found


def tasks() -> frozenset[int]:
    """Thread ids, those of C code included, but not io_uring's workers: the kernel makes one when it likes, and
    ends it after seconds without work.  A ring that was left is seen by its descriptor."""
    return frozenset(
        int(word) for word in os.listdir("/proc/self/task") if not task_name(word).startswith("iou-wrk")
    )


def task_name(task: str | int) -> str:
    """What the kernel calls a thread; "" when it has gone."""
    try:
        with open(f"/proc/self/task/{task}/comm") as comm:
            return comm.read().strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def children() -> frozenset[int]:
    """Children of any of our threads, zombies included."""
    found: set[int] = set()
    for task in tasks():
        try:
            with open(f"/proc/self/task/{task}/children") as listing:
                found.update(map(int, listing.read().split()))
        except (FileNotFoundError, ProcessLookupError):  # the thread ended meanwhile
            continue
    return frozenset(found)


def signal_masks() -> dict[str, int]:
    """Blocked, ignored and caught signals, as bit masks."""
    with open("/proc/self/status") as status:
        rows = dict(line.split(":", 1) for line in status)
    return {name: int(rows[name], 16) for name in _MASKS}


def snapshot() -> Snapshot:
    """The process now, after a collection: what only garbage holds is not held."""
    gc.collect()
    return Snapshot(
        fds=descriptors(),
        threads=frozenset(threading.enumerate()),
        tasks=tasks(),
        children=children(),
        handlers={number: signal.getsignal(number) for number in _SIGNALS},
        masks=signal_masks(),
    )


def complaints(before: Snapshot) -> list[str]:
    """What is different, one sentence each; an empty list if nothing is."""
    now = snapshot()
    if now.tasks - before.tasks or now.children - before.children:
        try:
            wait_until(
                lambda: not (tasks() - before.tasks or children() - before.children), TO_GO_S
            )
        except AssertionError:
            pass  # told below, by name
        now = snapshot()
    return [
        *_fds(before.fds, now.fds),
        *(f"thread {thread.name!r} is still running" for thread in now.threads - before.threads),
        *_tasks(before, now),
        *(
            f"child process {pid} was not waited for ({_state(pid)})"
            for pid in now.children - before.children
        ),
        *_handlers(before.handlers, now.handlers),
        *_masks(before.masks, now.masks),
    ]


def _fds(before: dict[int, str], now: dict[int, str]) -> list[str]:
    said = [f"fd {fd} was left open: {now[fd]}" for fd in sorted(now.keys() - before.keys())]
    for fd, link in before.items():
        if fd not in now:
            said.append(f"fd {fd} was closed, and was not the test's: {link}")
        elif now[fd] != link:
            said.append(f"fd {fd} is {now[fd]} and was {link}")
    return said


def _tasks(before: Snapshot, now: Snapshot) -> list[str]:
    extra = now.tasks - before.tasks - {thread.native_id for thread in now.threads}
    return [
        f"a thread that Python does not know is still running: {task_name(task)}, task {task}" for task in extra
    ]


def _state(pid: int) -> str:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return f"state {stat.read().rsplit(')', 1)[1].split()[0]}"
    except FileNotFoundError:
        return "gone"


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _handlers(before: dict[int, Any], now: dict[int, Any]) -> list[str]:
    return [
        f"{_name(number)} is handled by {now[number]!r} and was by {handler!r}"
        for number, handler in before.items()
        if now[number] is not handler and now[number] != handler
    ]


def _masks(before: dict[str, int], now: dict[str, int]) -> list[str]:
    words = {
        "SigBlk": "blocked",
        "SigIgn": "ignored by the kernel",
        "SigCgt": "caught by the kernel's record",
    }
    said = []
    for name, mask in before.items():
        for number in _SIGNALS:
            bit = 1 << (number - 1)
            if (mask ^ now[name]) & bit:
                said.append(
                    f"{_name(number)} is {'' if now[name] & bit else 'no longer '}{words[name]}"
                )
    return said
