"""A little of `make soak-cycles`: adding, firing and deleting leaves nothing behind."""

from __future__ import annotations

import pytest

from tests.soak import cycles
from tests.support import namespaces

NEEDS = {namespaces.MOUNT: "mount namespace", namespaces.NET: "network namespace"}
ROWS = [
    pytest.param(
        row,
        id=row.cycles.__name__.lstrip("_"),
        marks=pytest.mark.needs(NEEDS[row.namespaces]) if row.namespaces else (),
    )
    for row in cycles.ROWS
]


@pytest.mark.parametrize("row", ROWS)
def test_a_filter_leaves_nothing_behind(row: cycles.Row) -> None:
    """Issue 4, point 5; memory is compared with that of the first tenth."""
    assert cycles.run(row, max(int(200 * row.part), 10)) == []
