"""Services that tests name as tests.apps.services:NAME."""

from __future__ import annotations

from typing import Any

NUMBER = 5


def twice(data: bytes) -> bytes:
    """Everything twice."""
    return data + data


def fails(data: bytes) -> bytes:
    """Raises for some input."""
    if data == b"bad":
        raise ZeroDivisionError("as asked")
    return data


def text(data: bytes) -> Any:
    """Forgets to encode some of it."""
    return data.decode() if data == b"bad" else data


async def later(data: bytes) -> bytes:
    """Not of this kind."""
    return data


class Shout:
    """Has a function inside."""

    @staticmethod
    def loud(data: bytes) -> bytes:
        """More."""
        return data + b"!"
