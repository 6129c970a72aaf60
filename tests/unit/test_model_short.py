"""A little of the long run against a model of kqueue: `make soak-model` is the whole of it."""

from __future__ import annotations

import pytest

from tests.soak import driver, machine, maker
from tests.soak.player import first_difference

SEEDS = (1, 2, 3)


@pytest.mark.parametrize("seed", SEEDS)
def test_random_steps(seed: int) -> None:
    """The same steps on knote and on the model; a failure prints the list that was played."""
    _, life = driver.lives(seed, 6_000, report_s=60.0)
    assert life is None, (life, first_difference(life or []))


def test_state_machine() -> None:
    """The same rules as hypothesis plays them: a failure is short."""
    machine.play(machine.short(25))


def test_a_failing_list_is_made_shorter() -> None:
    """What the failure does not need is left out, down to the changes of a list."""
    needed = ("control", 0, [("a",), ("b",)], 1, False)
    steps = [("poll", 0), ("control", 0, [("a",), ("c",), ("b",)], 1, False), ("poll", 1)]
    found = maker.shorten(steps, lambda some: any({("a",), ("b",)} <= set(s[2]) for s in some if len(s) > 2))
    assert found == [needed]
