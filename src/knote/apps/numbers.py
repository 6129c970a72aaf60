"""What a server counts, and what its process has: for a page of metrics, in one process or added up over many."""

from __future__ import annotations

import errno
import os
import resource
import time
from bisect import bisect_left
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from knote.apps.connection import Connection
    from knote.apps.server import Server

LATE: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
"""Upper ends of the classes into which the loop's lag is counted, in seconds; one more is for what is above."""


class Numbers:
    """Kept by a server as connections end; who is there is asked when somebody wants to know."""

    __slots__ = ("closed", "lag", "lag_sum", "received", "refused", "sent", "since")

    def __init__(self) -> None:
        self.refused: dict[str, int] = {}
        self.closed: dict[str, int] = {}
        self.received = 0
        self.sent = 0
        self.lag = [0] * (len(LATE) + 1)
        self.lag_sum = 0.0
        self.since = time.monotonic()

    def turned_away(self, why: str) -> None:
        """One was closed before it was served."""
        self.refused[why] = self.refused.get(why, 0) + 1

    def ended(self, connection: Connection, why: str) -> None:
        """One that was served has ended."""
        self.closed[why] = self.closed.get(why, 0) + 1
        self.received += connection.received
        self.sent += connection.sent

    def late(self, seconds: float) -> None:
        """An event was told so much later than it was due."""
        self.lag[bisect_left(LATE, seconds)] += 1
        self.lag_sum += seconds


@dataclass
class Report:
    """One process at one moment; json() and Report(**...) carry it to another.  lag: counts by LATE; rss: bytes, 0
    where it cannot be had; cpu, uptime, lag_sum: seconds."""

    accepted: int = 0
    open: int = 0
    received: int = 0
    sent: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    closed: dict[str, int] = field(default_factory=dict)
    lag: list[int] = field(default_factory=lambda: [0] * (len(LATE) + 1))
    lag_sum: float = 0.0
    rss: int = 0
    descriptors: int = 0
    most_descriptors: int = 0
    cpu: float = 0.0
    uptime: float = 0.0

    def json(self) -> dict[str, Any]:
        """As json.dumps() takes it."""
        return asdict(self)

    def lasting(self) -> Report:
        """What stays of it when its process has ended: counts only go up."""
        return Report(
            self.accepted, 0, self.received, self.sent, self.refused, self.closed, self.lag, self.lag_sum
        )


def report(server: Server) -> Report:
    """A server now.  Threads: by the one that runs it."""
    numbers = server.numbers
    there = list(server.connections.values())
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    rss, descriptors = _process(most)
    return Report(
        accepted=server.accepted,
        open=len(there),
        received=numbers.received + sum(connection.received for connection in there),
        sent=numbers.sent + sum(connection.sent for connection in there),
        refused=dict(numbers.refused),
        closed=dict(numbers.closed),
        lag=list(numbers.lag),
        lag_sum=numbers.lag_sum,
        rss=rss,
        descriptors=descriptors,
        most_descriptors=most,
        cpu=time.process_time(),
        uptime=time.monotonic() - numbers.since,
    )


def _process(most: int) -> tuple[int, int]:
    """Resident bytes, and how many descriptors are open."""
    try:
        with open("/proc/self/statm") as statm:
            pages = int(statm.read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE"), len(os.listdir("/proc/self/fd")) - 1  # the listing's own
    except OSError as error:
        # Looking takes a descriptor.  That there is none left is what whoever reads this has to see.
        return 0, most if error.errno == errno.EMFILE else 0


def alone(server: Server) -> Callable[[Callable[[Mapping[str, Report], Report], None]], None]:
    """What knote.apps.admin.Admin asks where one server is all there is."""
    return lambda done: done({"0": report(server)}, Report())


def total(reports: Iterable[Report]) -> Report:
    """All of them together: sums, and the longest uptime."""
    made = Report()
    for one in reports:
        for name in ("accepted", "open", "received", "sent", "lag_sum", "rss", "descriptors", "cpu"):
            setattr(made, name, getattr(made, name) + getattr(one, name))
        for name in ("refused", "closed"):
            sums: dict[str, int] = getattr(made, name)
            for why, count in getattr(one, name).items():
                sums[why] = sums.get(why, 0) + count
        made.lag = [ours + theirs for ours, theirs in zip(made.lag, one.lag, strict=True)]
        made.most_descriptors = max(made.most_descriptors, one.most_descriptors)
        made.uptime = max(made.uptime, one.uptime)
    return made
