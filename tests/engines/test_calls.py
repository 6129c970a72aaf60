"""How many system calls a list of changes costs: one for each that alters the kernel's interest, none for those
that come to nothing, and one for a batch where the engine has one."""

from __future__ import annotations

import os
from collections import Counter
from contextlib import ExitStack
from functools import partial
from typing import Final

import pytest

import knote
from knote import EV_ADD, EV_DELETE, EV_DISABLE, EV_ENABLE, EVFILT_READ, EVFILT_WRITE, kevent
from tests import gates
from tests.support import installed, kernelcalls
from tests.support.faults import Faults, play
from tests.support.plumbing import Pair, unix_pair

COUNTS: Final = (1, 2, 3, 4, 8, 16, 32, 64)
CHANGES: Final = ("epoll_ctl", "io_uring_enter")
WAITS: Final = ("epoll_wait", "epoll_pwait2", "poll", "ppoll", "select", "pselect")


class Counting:
    """A queue whose calls are counted."""

    def __init__(self, engine: str, faults: Faults, stack: ExitStack) -> None:
        self._faults = faults
        self._kq = stack.enter_context(knote.kqueue(engine=engine))
        self.pairs = [self.pair(stack) for _ in range(COUNTS[-1])]
        self.read(EV_ADD, *self.pairs)

    @staticmethod
    def pair(stack: ExitStack) -> Pair:
        made = unix_pair()
        stack.callback(made.close)
        return made

    def _calls(self, changes: list[kevent], room: int = 0) -> Counter[str]:
        self._faults.arm()
        self._kq.control(changes, room, 0)
        return Counter(kernelcalls.name(number) for number in self._faults.disarm())

    def changes(self, changes: list[kevent]) -> int:
        """How often the kernel was told something."""
        seen = self._calls(changes)
        return sum(seen[name] for name in CHANGES)

    def waits(self, changes: list[kevent]) -> int:
        """How often it was asked for events by the same call."""
        seen = self._calls(changes, 64)
        return sum(seen[name] for name in WAITS)

    def read(self, flags: int, *pairs: Pair) -> int:
        return self.changes([kevent(pair.fd_a, EVFILT_READ, flags) for pair in pairs])

    def write(self, flags: int, *pairs: Pair) -> int:
        return self.changes([kevent(pair.fd_a, EVFILT_WRITE, flags) for pair in pairs])


def _count(engine: str, faults: Faults) -> None:
    os.environ["KNOTE_IO_URING"] = "1"  # else no ring is made under a filter, which is one
    with ExitStack() as stack:
        here = Counting(engine, faults, stack)
        batched = []
        for count in COUNTS:
            some = here.pairs[:count]
            told = {here.write(EV_ADD, *some), here.write(EV_DELETE, *some)}
            assert told in ({count}, {1}), f"{count} changes by {told} calls"
            if told != {count}:
                batched.append(count)
        # Up to three directly, and from there on by one call where the engine has a batch.
        batches = installed.traits(engine).batches_changes
        assert batched == [count for count in COUNTS if batches and count > 3]

        fd = here.pairs[0].fd_a
        come_and_go = [kevent(fd, EVFILT_WRITE, EV_ADD), kevent(fd, EVFILT_WRITE, EV_DELETE)]
        assert here.changes(come_and_go * 32) == 0
        assert here.read(EV_DISABLE, *here.pairs) + here.read(EV_ENABLE, *here.pairs) == 0
        fresh = here.pair(stack).fd_a
        assert here.changes([kevent(fresh, filt, EV_ADD) for filt in (EVFILT_READ, EVFILT_WRITE)]) == 1
        assert here.waits(come_and_go) == here.waits([])


@pytest.mark.needs("calls that fail")
@pytest.mark.parametrize("name", installed.engine_names())
def test_a_list_of_changes(name: str) -> None:
    gates.apply(name)
    play(partial(_count, name), kernelcalls.of(*CHANGES, *WAITS))
