"""Timed loops of waits in Python: the call as a program writes it, and nothing else."""

from __future__ import annotations

import select
from collections.abc import Callable, Iterable
from itertools import repeat
from time import perf_counter_ns
from typing import Any

from knote import kevent, kqueue


def control(queue: kqueue, room: int) -> Callable[[int], int]:
    """run(turns) of queue.control(None, room, 0)."""

    def run(turns: int) -> int:
        start = perf_counter_ns()
        for _ in repeat(None, turns):
            queue.control(None, room, 0)
        return perf_counter_ns() - start

    return run


def poll(epoll: select.epoll, room: int) -> Callable[[int], int]:
    """run(turns) of epoll.poll(0, room)."""

    def run(turns: int) -> int:
        start = perf_counter_ns()
        for _ in repeat(None, turns):
            epoll.poll(0, room)
        return perf_counter_ns() - start

    return run


def calls(function: Callable[..., Any], *arguments: Any) -> Callable[[int], int]:
    """run(turns) of function(*arguments)."""

    def run(turns: int) -> int:
        start = perf_counter_ns()
        for _ in repeat(None, turns):
            function(*arguments)
        return perf_counter_ns() - start

    return run


def register(queue: kqueue, changes: Iterable[kevent]) -> None:
    """Apply changes that are made one by one and not kept."""
    for change in changes:
        queue.control([change], 0)


def agree(queue: kqueue, epoll: select.epoll, room: int, ready: int) -> None:
    """Both must report so many events, turn after turn, or the ratio means nothing."""
    for _ in range(3):
        ours, peer = len(queue.control(None, room, 0)), len(epoll.poll(0, room))
        assert ours == peer == ready, (ours, peer, ready)
