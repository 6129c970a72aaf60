"""Deadlines instead of sleeps: time orders nothing here, it only bounds how long we wait."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SOON: Final = 5.0
"""Seconds within which what must happen has happened, on the slowest machine that tests."""

HARDLY: Final = 0.05
"""Seconds for which what must not happen is given a chance (spec section 8, rule 4)."""

_FIRST_NAP: Final = 0.0001
_LONGEST_NAP: Final = 0.01


def wait_until(predicate: Callable[[], object], deadline: float = SOON, what: str = "") -> None:
    """Return as soon as *predicate()* is true; AssertionError after *deadline* seconds."""
    end = time.monotonic() + deadline
    nap = _FIRST_NAP
    while not predicate():
        if time.monotonic() >= end:
            name = what or getattr(predicate, "__name__", "the condition")
            raise AssertionError(f"not within {deadline} s: {name}")
        time.sleep(nap)
        nap = min(nap * 2, _LONGEST_NAP)
