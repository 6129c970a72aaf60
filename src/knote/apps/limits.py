"""How much of it a server lets its clients have."""

from __future__ import annotations

import resource
from dataclasses import dataclass

CONNECTIONS = 10_000
PER_ADDRESS = 1024
IDLE = 600.0
FIRST_BYTE = 60.0
BUFFER = 256 * 1024
_OURS = 32
"""Descriptors that are no connections: standard ones, listeners, what a kqueue opens, a module that is
imported."""


@dataclass(frozen=True)
class Limits:
    """All are on unless they are 0.

    connections: at a time; who comes then waits in the kernel's queue until one ends.
    per_address: connections of one address; more are closed at once.  None is 1024 for every address but the
        machine's own, from where a proxy speaks for all of its clients; a number is for every address.
    idle: seconds without a byte in either direction.
    first_byte: seconds until a client has sent its first one.
    buffer: bytes that a client may be owed before it is read from no more.
    """

    connections: int = CONNECTIONS
    per_address: int | None = None
    idle: float = IDLE
    first_byte: float = FIRST_BYTE
    buffer: int = BUFFER

    def __post_init__(self) -> None:
        for name in ("connections", "per_address", "idle", "first_byte", "buffer"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < 1 << 31:
                raise ValueError(f"{name}={value!r}: must be 0 (no limit) or more")
        if not self.buffer:
            raise ValueError("buffer=0: a client that never reads would be owed without end")

    def warning(self) -> str:
        """What to tell an operator whose RLIMIT_NOFILE allows fewer connections than `connections`; '' if it does
        not."""
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        wanted = self.connections + _OURS
        if not self.connections or soft == resource.RLIM_INFINITY or soft >= wanted:
            return ""
        if hard == resource.RLIM_INFINITY or hard >= wanted:
            now = f"'ulimit -n {wanted}' in the shell that starts it raises it"
        else:
            now = f"its hard limit is {hard}, which root raises; --max-connections {max(hard - _OURS, 1)} fits it"
        return (
            f"this process may open {soft} descriptors (RLIMIT_NOFILE), too few for --max-connections "
            f"{self.connections}: {now}"
        )


class Addresses:
    """How many connections each address has."""

    def __init__(self, limits: Limits) -> None:
        self.most = PER_ADDRESS if limits.per_address is None else limits.per_address
        """Of one address; 0 for no limit."""
        self._own = limits.per_address is not None
        self._counts: dict[str, int] = {}

    def enter(self, host: str) -> bool:
        """Whether one more may come from there; it is counted if so."""
        if not self.counts(host):
            return True
        count = self._counts.get(host, 0)
        if count >= self.most:
            return False
        self._counts[host] = count + 1
        return True

    def counts(self, host: str) -> bool:
        """Whether connections from there are counted at all: not those of UNIX sockets, which have no address."""
        return bool(self.most and host) and (self._own or not _is_own(host))

    def leave(self, host: str) -> None:
        """One of its connections has ended."""
        if self.counts(host):
            count = self._counts[host] - 1
            if count:
                self._counts[host] = count
            else:
                del self._counts[host]

    def __len__(self) -> int:
        return len(self._counts)


def _is_own(host: str) -> bool:
    return host == "::1" or host.startswith(("127.", "::ffff:127."))
