"""What does an event cost whose data is exact?

Exact data takes a system call per descriptor, in whatever language; so the peer is the C loop that
makes them.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench import native, waits
from bench.descriptors import WORD, epoll_of, pipes, tcp_sockets
from bench.model import Case, Loop, Ratio, Row, Settings
from knote import EV_ADD, EVFILT_READ, kevent, kqueue

REGISTERED, READY = 1000, 100
SOCKETS = 64
TARGET = 1.2


def compare(stack: contextlib.ExitStack, name: str, fds: list[int], ready: int) -> Ratio:
    """READ on these, against epoll_wait and FIONREAD on each in C."""
    room = ready + 16
    epoll = stack.enter_context(epoll_of(fds))
    queue = stack.enter_context(kqueue())
    waits.register(queue, (kevent(fd, EVFILT_READ, EV_ADD) for fd in fds))
    waits.agree(queue, epoll, room, ready)
    assert {event.data for event in queue.control(None, room, 0)} == {len(WORD)}
    exact = native.wait_fionread(epoll.fileno(), room, ready * len(WORD))
    bare = native.wait(epoll.fileno(), room, ready)
    return Ratio(
        name,
        Loop("READ", waits.control(queue, room), ready),
        Loop("C epoll_wait + FIONREAD", exact, ready),
        TARGET,
        beside=[Loop("C epoll_wait alone", bare, ready)],
    )


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """Pipes and TCP sockets."""
    registered, ready = settings.sized(REGISTERED, least=2), settings.sized(READY)
    connections = settings.sized(SOCKETS)
    with contextlib.ExitStack() as stack:
        ends = stack.enter_context(pipes(registered, ready))
        sockets = stack.enter_context(tcp_sockets(connections))
        yield [
            compare(stack, f"pipes, {ready} of {registered} ready", ends, ready),
            compare(stack, f"TCP, {connections} of {connections} ready", sockets, connections),
        ]


CASE = Case("wait-data", "What does an event cost whose data is exact?", rows)
