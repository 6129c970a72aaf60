"""A little of the ownership oracle: `make soak-owners` is the whole of it."""

from __future__ import annotations

import pytest

from tests import gates
from tests.soak import owners
from tests.support import installed

SEEDS = (1, 2, 3)


@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("seed", SEEDS)
def test_each_event_is_the_owners(seed: int, strict: bool) -> None:
    """Opens, dups, closes, forks and EMFILE at random; the failure tells the last steps."""
    counts, failure = owners.lives(seed, 4_000, report_s=60.0, strict=strict)
    assert not failure
    assert counts["events"] > 1000


@pytest.mark.parametrize("name", installed.engine_names())
def test_so_it_is_on_each_engine(name: str) -> None:
    gates.apply(name)
    counts, failure = owners.lives(4, 2_000, report_s=60.0, engine=name)
    assert not failure
    assert counts["events"] > 500
