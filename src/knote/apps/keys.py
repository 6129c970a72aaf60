"""A terminal whose every key goes through, and the one that does not."""

from __future__ import annotations

import termios
import tty
from typing import TYPE_CHECKING

from knote.apps.inlet import Inlet

if TYPE_CHECKING:
    from types import TracebackType

ESCAPE = b"\x1d"
"""Ctrl-], as telnet(1) has it."""


class Keys(Inlet):
    """In raw mode while the with block runs: nothing is echoed, and no key is a signal.  ESCAPE is the end."""

    __slots__ = ("_before",)

    def __init__(self, fd: int, name: str) -> None:
        super().__init__(fd, name)
        self._before = termios.tcgetattr(fd)

    def __enter__(self) -> Keys:
        tty.setraw(self.fd)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        termios.tcsetattr(self.fd, termios.TCSADRAIN, self._before)

    def read_into(self, room: memoryview) -> int:
        """As Inlet.read_into."""
        count = super().read_into(room)
        at = bytes(room[: max(0, count)]).find(ESCAPE)
        if at < 0:
            return count
        self.ended = True  # no event will say so
        return at
