"""What does an event cost when there is nothing to fetch with it?

select.epoll.poll is the least that a wait can cost in Python: a list, and a tuple of two ints per
event; a kevent is an object of six fields.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench import waits
from bench.descriptors import epoll_of, pipes, spread
from bench.model import Case, Loop, Ratio, Row, Settings
from knote import EV_ADD, EVFILT_READ, EVFILT_USER, NOTE_NODATA, NOTE_TRIGGER, kevent, kqueue

REGISTERED, READY = 1000, 100
TARGET_MANY, TARGET_ONE = 1.1, 1.25


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """USER and READ, NODATA, with many ready and with one."""
    registered = settings.sized(REGISTERED, least=2)
    with contextlib.ExitStack() as stack:
        made: list[Row] = []
        for ready, target in ((settings.sized(READY), TARGET_MANY), (1, TARGET_ONE)):
            room = ready + 16
            fds = stack.enter_context(pipes(registered, ready))
            epoll = stack.enter_context(epoll_of(fds))
            read = stack.enter_context(kqueue())
            waits.register(read, (kevent(fd, EVFILT_READ, EV_ADD, NOTE_NODATA) for fd in fds))
            user = stack.enter_context(kqueue())
            full = spread(ready, registered)
            waits.register(user, (kevent(i, EVFILT_USER, EV_ADD) for i in range(registered)))
            waits.register(user, (kevent(i, EVFILT_USER, 0, NOTE_TRIGGER) for i in sorted(full)))
            peer = Loop("select.epoll.poll", waits.poll(epoll, room), ready)
            for name, queue in (("USER", user), ("READ, NODATA", read)):
                waits.agree(queue, epoll, room, ready)
                ours = Loop(name, waits.control(queue, room), ready)
                label = f"{name}, {ready} of {registered} ready"
                made.append(Ratio(label, ours, peer, target))
        yield made


CASE = Case("wait-nodata", "What does an event cost when there is nothing to fetch?", rows)
