"""Medians, quartiles and verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Median and quartiles of a sample."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value; the quartiles of a single one are itself."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, median, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(median, low, high)


def paired(ours: Sequence[float], peer: Sequence[float]) -> list[float]:
    """Quotients round by round: what slows a whole round down cancels."""
    return [a / b for a, b in zip(ours, peer, strict=True)]


def verdict(measured: Spread, target: float | None) -> str:
    """met; missed if even the lower quartile is above the target; else unclear; "" without one."""
    if target is None:
        return ""
    if measured.median <= target:
        return "met"
    return "missed" if measured.low > target else "unclear"
