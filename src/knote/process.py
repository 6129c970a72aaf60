"""What is per process and not per queue: which descriptor number is which queue, and what a fork does to them."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from typing import TYPE_CHECKING

# Hooks run in the order in which they were registered: this one counts the fork, and ours below asks whether there
# was one.
import knote._kernel.fork  # noqa: F401
from knote.verbs import RETIRE

if TYPE_CHECKING:
    from knote.queue import Queue

# Taken after any queue's lock, never before.
_lock = threading.RLock()
_retires = False
_queues: weakref.WeakValueDictionary[int, Queue] = weakref.WeakValueDictionary()


def register(queue: Queue, number: int) -> None:
    """From now on this descriptor number is that queue."""
    with _lock:
        _queues[number] = queue


def forget(number: int) -> None:
    """The number is nobody's."""
    with _lock:
        _queues.pop(number, None)


def find(number: int) -> Queue | None:
    """The queue of that descriptor number."""
    with _lock:
        return _queues.get(number)


def retire_at_exit() -> None:
    """When the interpreter ends, finish what the queues have under way before any memory goes."""
    global _retires
    with _lock:
        if not _retires:
            _retires = True
            atexit.register(_retire)


def _retire() -> None:
    with _lock:
        queues = list(_queues.values())
    for queue in queues:
        with contextlib.suppress(ValueError):  # closed meanwhile
            queue.serve(RETIRE)


def reaches(number: int, target: int) -> bool:
    """Whether the queue of one number is that of the other, or watches it, through however many queues."""
    todo, seen = [number], set()
    while todo:
        one = todo.pop()
        if one == target:
            return True
        if one not in seen:
            seen.add(one)
            queue = find(one)
            if queue is not None:
                todo.extend(queue.nested())
    return False


def _after_fork_in_child() -> None:
    # Only the forking thread is here, and another may have held the lock at that moment: make a new one.
    global _lock
    _lock = threading.RLock()
    queues = list(_queues.values())
    _queues.clear()
    for queue in queues:
        queue.abandon()


os.register_at_fork(after_in_child=_after_fork_in_child)
