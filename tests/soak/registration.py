"""What the book of tests.soak.owners says of one EV_ADD."""

from __future__ import annotations

from tests.soak.estate import Holding


class Registration:
    """One EV_ADD that was accepted."""

    __slots__ = ("disabled", "flags", "gone", "held", "key", "missed", "right", "tag", "unsure", "wrong")

    def __init__(self, tag: int, key: tuple[int, int], held: Holding, flags: int) -> None:
        self.tag = tag
        self.key = key
        self.held = held
        self.flags = flags
        self.disabled = False
        self.gone = False
        """Deleted or replaced, by a call of ours or by EV_ONESHOT."""
        self.unsure = False
        """Its number was closed, and came back with the very file that it had."""
        self.missed = 0
        self.right = 0
        """How many events it had, also before it was added again."""
        self.wrong = 0
