"""wait_until returns at the first truth and complains by name."""

from __future__ import annotations

import pytest

from tests.support.waiting import wait_until


def test_returns_when_true() -> None:
    answers = iter([False, 0, "yes"])
    wait_until(lambda: next(answers))


def test_complains_by_name() -> None:
    def the_moon_is_full() -> bool:
        return False

    with pytest.raises(AssertionError, match=r"not within 0.01 s: the_moon_is_full"):
        wait_until(the_moon_is_full, 0.01)
