"""How many workers, and for how long."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from knote.apps.drain import QUIET, SECONDS

_JITTER = 0.1
"""A tenth: workers that began together must not end together."""
_FIRST, _LONGEST = 0.1, 30.0
"""Seconds until the second try, and the most that are waited."""
_CALM = 3.0
"""Seconds after which a worker that ended has not ended because it cannot begin."""


@dataclass(frozen=True)
class Staffing:
    """What a master is to keep up.

    workers: how many processes serve.
    lifetime: seconds, give or take a tenth, after which a worker is replaced; 0: never.
    max_rss: bytes of resident memory, or up to a tenth less, at which it is; 0: never.
    drain, quiet: at the end, as Server.drain() has them.
    retire: seconds that connections of a worker that was replaced may take; math.inf: until they end.
    begin: seconds until a new worker must be ready.
    Raises ValueError for what is none of these.
    """

    workers: int = 1
    lifetime: float = 0.0
    max_rss: float = 0.0
    drain: float = SECONDS
    quiet: float = QUIET
    retire: float = math.inf
    begin: float = 60.0

    def __post_init__(self) -> None:
        if not 1 <= self.workers <= 1024:
            raise ValueError(f"workers={self.workers!r}: must be from 1 to 1024")
        for name in ("lifetime", "max_rss", "drain", "quiet", "retire", "begin"):
            value = getattr(self, name)
            if not value >= 0:
                raise ValueError(f"{name}={value!r}: must be 0 or more")

    def life(self) -> float:
        """Seconds for one worker."""
        return self.lifetime * random.uniform(1 - _JITTER, 1 + _JITTER)

    def size(self) -> float:
        """Bytes for one worker."""
        return self.max_rss * random.uniform(1 - _JITTER, 1)


class Backoff:
    """How long to wait before the next try: not at all, then a tenth of a second, twice that, up to half a
    minute."""

    def __init__(self) -> None:
        self._failures = 0

    def next(self, served: float) -> float:
        """Seconds to wait, after one that served for so long."""
        if served >= _CALM:
            self._failures = 0
        self._failures += 1
        return 0.0 if self._failures == 1 else min(_FIRST * 2 ** (self._failures - 2), _LONGEST)

    def forget(self) -> None:
        """Something has changed: the next try is the first."""
        self._failures = 0
