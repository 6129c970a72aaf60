"""A little of the long run against a model of kqueue, on each engine: `make soak-model` is the whole of it."""

from __future__ import annotations

import pytest

from tests import gates
from tests.soak import driver
from tests.soak.player import first_difference
from tests.support import installed


@pytest.mark.parametrize("name", installed.engine_names())
def test_random_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same steps on knote and on the model; a failure prints the list that was played."""
    gates.apply(name)
    monkeypatch.setenv("KNOTE_ENGINE", name)
    _, life = driver.lives(7, 6_000, report_s=60.0)
    assert life is None, (life, first_difference(life or []))
