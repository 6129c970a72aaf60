"""A process that serves for a master: it does what the channel says."""

from __future__ import annotations

import math
import os
import signal
import socket
from typing import TYPE_CHECKING, Any

from knote.apps.channel import Channel, first
from knote.apps.member import HELD_BACK
from knote.apps.numbers import report
from knote.apps.signals import Signals
from knote.apps.tallies import OF

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote.apps.server import Server


class Worker:
    """number: the descriptor of its channel.

    What it may be told: accept and rest (doors, by their places), drain (seconds, quiet, take), stop, tell (of).
    What it says: ready, failed (why, status), leaving, told (ticket, value).
    answers: what it answers when it is asked to tell of something; more may be put into it.
    """

    def __init__(self, number: int) -> None:
        os.set_inheritable(number, False)
        self._sock = socket.socket(fileno=number)
        begin = first(self._sock)
        self.number = int(begin["number"])
        """Of its place: 0, 1, ..."""
        self.begin = begin
        """All that it was told at the start."""
        self.doors: list[socket.socket] = []
        self._given: list[bool] = []
        for door, given in begin["doors"]:
            os.set_inheritable(door, False)  # programs that the service starts must not hold them
            self.doors.append(socket.socket(fileno=door))
            self._given.append(bool(given))
        self._shared = begin.get("shared", range(len(self.doors)))  # a master of before does not say it
        self.answers: dict[str, Callable[[], Any]] = {}
        self._server: Any = None
        self._channel: Any = None
        self._leaving = False
        self._asked = False

    def run(self, make: Callable[[list[socket.socket]], Server]) -> int:
        """Serve until it is told to end; the exit status.  make: the server, with these listeners, resting."""
        server = self._server = make(self.doors)
        for at, listener in enumerate(server.listeners):
            listener.shared = at in self._shared
        channel = self._channel = Channel(server.kqueue, self._sock, self._alone)
        channel.hear.update(
            accept=self._accept, rest=self._rest, drain=self._drain, stop=self._stop, tell=self._tell
        )  # fmt: skip
        self.answers.setdefault("stats", lambda: {"connections": len(server), "accepted": server.accepted})
        self.answers.setdefault(OF, lambda: report(server).json())
        do: dict[int, Callable[[], None]] = {
            signal.SIGINT: _nothing,
            signal.SIGHUP: _nothing,
            signal.SIGTERM: self._asked_to_leave,
        }
        with server, Signals(server.kqueue, do, frozenset({signal.SIGTERM})):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
            channel.say("ready")
            server.run()
        self._last_words(Channel.line(OF, value=report(server).json()))
        return 0

    def failed(self, why: str, status: int) -> int:
        """Say why there is no server; the exit status."""
        self._last_words(Channel.line("failed", why=why, status=status))
        return status

    def _last_words(self, line: bytes) -> None:
        try:
            self._sock.sendall(line)
        except OSError:
            pass  # nobody is there to hear it

    def _accept(self, message: dict[str, Any]) -> None:
        for listener in self._named(message, "doors"):
            listener.resume()

    def _rest(self, message: dict[str, Any]) -> None:
        for listener in self._named(message, "doors"):
            listener.rest()

    def _named(self, message: dict[str, Any], key: str) -> list[Any]:
        return [self._server.listeners[place] for place in message.get(key, ())]

    def _drain(self, message: dict[str, Any]) -> None:
        self._leaving = True
        self._leave(self._named(message, "take"))
        seconds, quiet = message.get("seconds"), message.get("quiet")
        self._server.drain(math.inf if seconds is None else seconds, math.inf if quiet is None else quiet)

    def _leave(self, take: list[Any]) -> None:
        """Close the doors, except those that nobody holds any more but workers that end, too: who has connected
        there is ours."""
        for listener in self._server.listeners:
            if listener in take:
                listener.final = True
            else:
                listener.leave()

    def _stop(self, message: dict[str, Any]) -> None:
        self._server.stop()

    def _tell(self, message: dict[str, Any]) -> None:
        answer = self.answers.get(str(message.get("of")))
        self._channel.say("told", ticket=message.get("ticket"), value=None if answer is None else answer())

    def _asked_to_leave(self) -> None:
        """SIGTERM: from an operator who means this process."""
        if self._asked:
            self._server.stop()
        else:
            self._asked = True
            # The master says how: it may be ending, too, as a signal goes to all processes of a service.
            self._channel.say("leaving")

    def _alone(self) -> None:
        """The master has ended without a word: nobody holds the doors any more, so what waits there is ours."""
        if not self._leaving:
            self._server.tell("the master is gone: this worker accepts no more, and ends with its connections")
            self._leaving = True
            self._leave([
                listener
                for listener, given in zip(self._server.listeners, self._given, strict=True)
                if not given and not listener.resting
            ])  # fmt: skip
        self._server.drain(self.begin["drain"], self.begin["quiet"])


def _nothing() -> None:
    pass
