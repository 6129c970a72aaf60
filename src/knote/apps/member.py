"""One worker process, as its master sees it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from time import monotonic
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_ONESHOT, EVFILT_PROC, NOTE_EXIT, kevent
from knote.apps.channel import Channel
from knote.apps.handler import Handler

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote import kqueue
    from knote.apps.doors import Doors

HELD_BACK = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
"""Blocked in a worker until it has its handlers: a Ctrl-C goes to all processes of a terminal."""


class Member(Handler):
    """A process that was started, and the channel to it.

    slot: whose place it has, or is to have.  ended: called with it when the process is no more.
    """

    __slots__ = (
        "_ended", "_process", "accepting", "channel", "limit", "pid", "ready_since", "since", "slot", "status",
        "why",
    )  # fmt: skip

    def __init__(
        self, queue: kqueue, command: list[str], doors: Doors, slot: Any, begin: dict[str, Any],
        ended: Callable[[Member], None],
    ) -> None:  # fmt: skip
        self._ended = ended
        self.slot: Any = slot
        self.why = ""
        """What it said before it ended, if it could not begin."""
        self.status: int | None = None
        """As subprocess has it, once it has ended."""
        self.accepting: set[int] = set()
        """Places of the doors that it accepts from."""
        self.since = monotonic()
        self.ready_since = 0.0
        self.limit = 0.0
        """Bytes of memory at which it is replaced; 0: none."""
        ours, theirs = socket.socketpair()
        with theirs:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)
            try:
                # A fresh interpreter, not a fork: it runs what the files say now, and has nothing of ours.
                self._process = subprocess.Popen(
                    [*command, "--worker", str(theirs.fileno())], pass_fds=[theirs.fileno(), *doors.numbers()]
                )
            except OSError:
                ours.close()
                raise
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self.pid = self._process.pid
        self.channel = Channel(queue, ours, _nothing)  # that it has ended, EVFILT_PROC tells
        # Should there be no descriptor to watch it by, it would be nobody's.
        try:
            queue.control([kevent(self.pid, EVFILT_PROC, EV_ADD | EV_ONESHOT, NOTE_EXIT, 0, self)], 0)
        except OSError:
            self.channel.close()
            self.kill()
            self._process.wait()
            raise
        doors_told = [[number, door.given] for number, door in zip(doors.numbers(), doors, strict=True)]
        shared = [at for at, door in enumerate(doors) if door.share != slot.number]
        self.channel.say("begin", doors=doors_told, shared=shared, **begin)

    def ready(self, event: kevent) -> None:
        """It has ended."""
        if self.channel.open:
            self.channel.drain()  # its last words came before its end
        self.end()
        self._ended(self)

    def end(self) -> None:
        """Wait for its end.  Idempotent."""
        self.status = self._process.wait()
        self.channel.close()

    def set_ready(self, limit: float) -> None:
        """It can serve from now on.  limit: bytes of memory at which it is replaced; 0: none."""
        self.ready_since = monotonic()
        self.limit = limit

    def served(self) -> float:
        """Seconds since it was ready; 0 if it never was."""
        return monotonic() - self.ready_since if self.ready_since else 0.0

    def accept(self, doors: list[int]) -> None:
        """Have it accept from these, too."""
        self.accepting.update(doors)
        self.channel.say("accept", doors=doors)

    def rest(self, doors: list[int]) -> None:
        """Have it accept from these no more."""
        self.accepting.difference_update(doors)
        self.channel.say("rest", doors=doors)

    def drain(self, seconds: float, quiet: float, take: list[int]) -> None:
        """Have it end with its connections, and before that, accept all that wait at these doors."""
        self.channel.say("drain", seconds=_finite(seconds), quiet=_finite(quiet), take=take)

    def kill(self) -> None:
        """End it, whatever it does."""
        if self.status is None:
            self._process.kill()

    def rss(self) -> int:
        """Bytes of memory."""
        try:
            with open(f"/proc/{self.pid}/statm", "rb") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError):
            return 0  # it has ended, which is another event

    def how(self) -> str:
        """How it ended, in words."""
        status = self.status or 0
        if status < 0:
            try:
                return f"was killed by {signal.Signals(-status).name}"
            except ValueError:
                return f"was killed by signal {-status}"
        return f"ended with status {status}"


def _finite(seconds: float) -> float | None:
    return seconds if seconds < float("inf") else None  # JSON has no infinity


def _nothing() -> None:
    pass
