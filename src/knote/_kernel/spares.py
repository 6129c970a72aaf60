"""Freed objects that are used again, interpreted: none; CPython does what it does.

The compiled twin is spares.pyx.
"""

from __future__ import annotations

from typing import Any


def keep(of: type) -> bool:
    """From now on keep a few freed objects of this type, which has no __del__ and no subclasses, and make new ones
    of them.  False where that cannot be done.  Threads: under the GIL; without one nothing is kept."""
    return False


def more(of: Any, some: list[Any], count: int) -> list[Any]:
    """These and so many new ones, as __new__() makes them, in the same list or, where it was empty, perhaps in
    another."""
    some.extend(of.__new__(of) for _ in range(count))
    return some


def follow(one: Any) -> None:
    """It holds what may lead back to it, so the garbage collector is to know of it; of a new one it does not."""


def count() -> int:
    """How many are kept just now."""
    return 0
