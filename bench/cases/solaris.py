"""What do Solaris' interfaces cost over what they stand on or stand in for?

/dev/poll beside select.epoll.poll, as many events returned.  Event ports beside the same kevents: each event
retrieved, and its descriptor watched once more by a call of its own.
"""

from __future__ import annotations

import contextlib
import select
from collections.abc import Callable, Iterator
from itertools import repeat
from time import perf_counter_ns
from typing import Any

from bench import waits
from bench.descriptors import epoll_of, pipes
from bench.model import Case, Loop, Ratio, Row, Settings
from knote import EV_ADD, EV_DISPATCH, EV_ENABLE, EVFILT_READ, devpoll, eventport, kevent, kqueue

REGISTERED, READY = 1000, 100
TARGET_DEVPOLL, TARGET_EVENTPORT = 1.3, 1.5

_FD = eventport.PORT_SOURCE_FD
_ONCE = EV_ADD | EV_ENABLE | EV_DISPATCH


def _poll(device: Any) -> Callable[[int], int]:
    def run(turns: int) -> int:
        start = perf_counter_ns()
        for _ in repeat(None, turns):
            device.poll(0)
        return perf_counter_ns() - start

    return run


def _retrieved(port: eventport.Port, room: int) -> Callable[[int], int]:
    def run(turns: int) -> int:
        start = perf_counter_ns()
        for _ in repeat(None, turns):
            for event in eventport.port_getn(port, room)[0]:
                eventport.port_associate(port, _FD, event.portev_object, select.POLLIN)
        return perf_counter_ns() - start

    return run


def _dispatched(queue: kqueue, room: int) -> Callable[[int], int]:
    def run(turns: int) -> int:
        start = perf_counter_ns()
        for _ in repeat(None, turns):
            for event in queue.control(None, room):
                queue.control([kevent(event.ident, EVFILT_READ, _ONCE)], 0)
        return perf_counter_ns() - start

    return run


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """/dev/poll with many ready and with one; event ports with many."""
    registered = settings.sized(REGISTERED, least=2)
    with contextlib.ExitStack() as stack:
        made: list[Row] = []
        for ready in (settings.sized(READY), 1):
            room = ready + 16
            fds = stack.enter_context(pipes(registered, ready))
            epoll = stack.enter_context(epoll_of(fds))
            device = stack.enter_context(contextlib.closing(devpoll()))
            for fd in fds:
                device.register(fd, select.POLLIN)
            assert len(device.poll(0)) == len(epoll.poll(0, room)) == ready
            ours = Loop("devpoll", _poll(device), ready)
            peer = Loop("select.epoll.poll", waits.poll(epoll, room), ready)
            made.append(Ratio(f"devpoll, {ready} of {registered} ready", ours, peer, TARGET_DEVPOLL))
        ready = settings.sized(READY)
        room = ready + 16
        fds = stack.enter_context(pipes(registered, ready))
        port = stack.enter_context(eventport.port_create())
        queue = stack.enter_context(kqueue())
        for fd in fds:
            eventport.port_associate(port, _FD, fd, select.POLLIN)
        waits.register(queue, (kevent(fd, EVFILT_READ, _ONCE) for fd in fds))
        assert eventport.port_getn(port, 0)[1] == ready
        ours = Loop("event port", _retrieved(port, room), ready)
        peer = Loop("EV_DISPATCH", _dispatched(queue, room), ready)
        made.append(Ratio(f"event port, {ready} of {registered} ready", ours, peer, TARGET_EVENTPORT))
        yield made


CASE = Case("solaris", "What do /dev/poll and event ports cost?", rows)
