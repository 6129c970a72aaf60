"""So many bytes a second and not more."""

from __future__ import annotations

from time import monotonic_ns

BURST_NS = 100_000_000
"""What was not used stays good for so long: a tenth of a second."""


class Meter:
    """Room grows with time, up to what BURST_NS bring.  rate: bytes per second, above 0.

    A stream that waited for its other end does not catch up: the rate is a limit and not an average.
    """

    __slots__ = ("_at", "_most", "_rate", "_room")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._most = max(1.0, rate * BURST_NS / 1e9)
        self._room = self._most
        self._at = monotonic_ns()

    def room(self) -> int:
        """Bytes that may go now."""
        now = monotonic_ns()
        self._room = min(self._most, self._room + (now - self._at) * self._rate / 1e9)
        self._at = now
        return int(self._room)

    def spend(self, count: int) -> None:
        """They went."""
        self._room -= count

    def pause(self) -> int:
        """Milliseconds until there is room for a good piece; at least 1."""
        return max(1, int((max(1.0, self._most / 2) - self._room) / self._rate * 1000) + 1)
