"""The ready list: first in, first out, out of the middle, one list for each knote (S-274)."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from knote.filters.base import Filter
from knote.knote import Knote
from knote.ready import ReadyList


def knotes(count: int) -> list[Knote]:
    """Knotes of no filter in particular."""
    made = []
    for ident in range(count):
        kn = Knote.__new__(Knote)
        kn.begin(ident, Filter(), 0, 0, 0, None)
        made.append(kn)
    return made


def emptied(ready: ReadyList) -> list[Knote]:
    out = []
    while (kn := ready.pop()) is not None:
        out.append(kn)
    assert ready.count == 0
    return out


def test_first_in_first_out() -> None:
    ready, (a, b, c) = ReadyList(1), knotes(3)
    for kn in (b, a, c):
        ready.append(kn)
    assert ready.count == 3
    assert emptied(ready) == [b, a, c]
    assert ready.pop() is None


def test_one_that_is_on_it_keeps_its_place() -> None:
    """Trace order_readd."""
    ready, (a, b) = ReadyList(1), knotes(2)
    for kn in (a, b, a):
        ready.append(kn)
    assert ready.count == 2
    assert emptied(ready) == [a, b]


def test_out_of_the_middle_and_of_both_ends() -> None:
    for gone in range(3):
        ready, made = ReadyList(1), knotes(3)
        for kn in made:
            ready.append(kn)
        ready.remove(made[gone])
        ready.remove(made[gone])
        assert ready.count == 2
        assert emptied(ready) == [kn for kn in made if kn is not made[gone]]
        ready.append(made[gone])
        assert emptied(ready) == [made[gone]]


def test_one_that_is_on_another_list_is_left_there() -> None:
    first, second, (kn,) = ReadyList(1), ReadyList(2), knotes(1)
    first.append(kn)
    second.append(kn)
    second.remove(kn)
    assert (first.count, second.count) == (1, 0)
    assert second.pop() is None
    assert emptied(first) == [kn]
    second.append(kn)
    assert emptied(second) == [kn]


@settings(derandomize=True, database=None)
@given(st.lists(st.tuples(st.sampled_from(["append", "remove", "pop"]), st.integers(0, 4))))
def test_as_a_list_of_python(steps: list[tuple[str, int]]) -> None:
    ready, made = ReadyList(3), knotes(5)
    model: list[Knote] = []
    for what, which in steps:
        kn = made[which]
        if what == "append":
            ready.append(kn)
            if kn not in model:
                model.append(kn)
        elif what == "remove":
            ready.remove(kn)
            if kn in model:
                model.remove(kn)
        else:
            assert ready.pop() is (model.pop(0) if model else None)
        assert ready.count == len(model)
    assert emptied(ready) == model
