"""The numbers of all workers of a master, of those that have ended, too: what is counted only goes up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from knote.apps.numbers import Report, total

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from knote.apps.master import Master

OF: Final = "numbers"
"""What a worker is asked to tell of, and what its last words are about."""
LEAVING: Final = "leaving"
"""The name for all workers together that serve their last connections."""


class Tallies:
    """A worker says at its end what it counted; of one that was killed counts what it said when last asked."""

    def __init__(self, master: Master) -> None:
        self._master: Any = master
        self._known: dict[int, Report] = {}
        """By process number: of those that live."""
        self._before = Report()
        """Of those that have ended."""

    def ask(self, done: Callable[[Mapping[str, Report], Report], None]) -> None:
        """As Admin asks: by the number of the worker's place, and what is left of those that ended."""

        def told(answers: dict[int, Any]) -> None:
            for pid, value in answers.items():
                self._heard(pid, value)
            done(self._by_place(), self._before)

        self._master.gather(OF, told)

    def said(self, pid: int, value: Any) -> None:
        """A worker's last words."""
        self._heard(pid, value)

    def gone(self, pid: int) -> None:
        """A worker has ended."""
        last = self._known.pop(pid, None)
        if last is not None:
            self._before = total([self._before, last.lasting()])

    def _heard(self, pid: int, value: Any) -> None:
        # Who has ended since he was asked has said the same, or more, by his last words.
        if any(member.pid == pid for member in self._master.members()):
            self._known[pid] = _report(value) or self._known.get(pid) or Report()

    def _by_place(self) -> dict[str, Report]:
        found: dict[str, Report] = {}
        leaving: list[Report] = []
        for member in self._master.members():
            one = self._known.get(member.pid)
            if one is None:
                continue
            if member is member.slot.current:
                found[str(member.slot.number)] = one
            else:
                leaving.append(one)
        if leaving:
            found[LEAVING] = total(leaving)
        return found


def _report(value: Any) -> Report | None:
    """What a worker said; None for what another version of knote may have said."""
    try:
        return Report(**value)
    except TypeError:
        return None
