"""One question to all workers, and their answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.apps.master import Master

PATIENCE = 1.0
"""Seconds until those that have not answered are left out: one that works does not hear."""


class _Question:
    def __init__(self, open_to: set[int], done: Callable[[dict[int, Any]], None]) -> None:
        self.open_to = open_to
        self.done = done
        self.answers: dict[int, Any] = {}


class Gathering:
    """{"what": "tell", "of": WHAT, "ticket": N} goes out, {"what": "told", "ticket": N, "value": ...} comes
    back."""

    def __init__(self, master: Master) -> None:
        self._master: Any = master
        self._tickets = 0
        self._open: dict[int, _Question] = {}

    def ask(self, what: str, done: Callable[[dict[int, Any]], None]) -> None:
        """As Master.gather()."""
        members = [member for member in self._master.members() if member.ready_since]
        self._tickets += 1
        ticket = self._tickets
        question = self._open[ticket] = _Question({member.pid for member in members}, done)
        self._master.alarm(lambda: self._close(ticket)).set(PATIENCE)
        for member in members:
            member.channel.say("tell", of=what, ticket=ticket)
        self._look(ticket, question)

    def told(self, pid: int, message: dict[str, Any]) -> None:
        """An answer."""
        ticket = message.get("ticket")
        question = self._open.get(ticket) if isinstance(ticket, int) else None
        if question is not None and pid in question.open_to:
            question.open_to.discard(pid)
            question.answers[pid] = message.get("value")
            assert isinstance(ticket, int)
            self._look(ticket, question)

    def gone(self, pid: int) -> None:
        """A worker that answers no more."""
        for ticket, question in list(self._open.items()):
            question.open_to.discard(pid)
            self._look(ticket, question)

    def _look(self, ticket: int, question: _Question) -> None:
        if not question.open_to:
            self._close(ticket)

    def _close(self, ticket: int) -> None:
        question = self._open.pop(ticket, None)
        if question is not None:
            question.done(question.answers)
