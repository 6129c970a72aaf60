"""Many timers on one descriptor.  `python -m bench.timers COUNT` prints what each of them costs.

A process of its own, so that no freed memory of an earlier measurement is there to be used again.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from time import perf_counter_ns

from bench.memory import resident
from knote import EV_ADD, EV_DELETE, EV_ONESHOT, EVFILT_TIMER, kevent, kqueue

BATCH = 1000
HOUR_MS = 3_600_000


def changed(queue: kqueue, count: int, flags: int, data: int = 0) -> int:
    """The same change to each timer; nanoseconds, those of making its kevents left out."""
    taken = 0
    for start in range(0, count, BATCH):
        changes = [
            kevent(ident, EVFILT_TIMER, flags, 0, data) for ident in range(start, min(start + BATCH, count))
        ]
        begin = perf_counter_ns()
        queue.control(changes, 0)
        taken += perf_counter_ns() - begin
    return taken


def fired(queue: kqueue, count: int) -> int:
    """Collect every one of them once; nanoseconds, from when the last is due."""
    begin, left = perf_counter_ns(), count
    while left:
        left -= len(queue.control(None, BATCH, None))
    return perf_counter_ns() - begin


def measure(count: int) -> dict[str, float]:
    """What one of so many timers costs: bytes, and ns to create, re-add, delete, and to create once and fire."""
    with kqueue() as queue:
        changed(queue, BATCH, EV_ADD, HOUR_MS)
        changed(queue, BATCH, EV_DELETE)
        descriptors, before = len(os.listdir("/proc/self/fd")), resident()
        steps: dict[str, Callable[[], int]] = {
            "create": lambda: changed(queue, count, EV_ADD, HOUR_MS),
            "re-add": lambda: changed(queue, count, EV_ADD, HOUR_MS + 1),
            "delete": lambda: changed(queue, count, EV_DELETE),
            "create, one shot": lambda: changed(queue, count, EV_ADD | EV_ONESHOT, 1),
            "fire": lambda: fired(queue, count),
        }
        found: dict[str, float] = {}
        for name, step in steps.items():
            found[name] = step() / count
            if name == "create":
                found["memory"] = (resident() - before) / count
        assert len(os.listdir("/proc/self/fd")) == descriptors, "a timer took a descriptor of its own"
        return found


if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]))))
