"""The process above the workers: it holds the doors, and sees to it that there is always somebody behind them.

It serves nobody and runs nothing of the service: one kqueue tells it of the ends of processes, of signals, of
times and of what its workers say.

    starting --ready--> serving --lifetime, memory, reload, SIGTERM--> leaving --its connections end--> ended

Every worker is given all doors and accepts from those that it is told of.  So while one is missing another one
accepts in its place, and the new one takes over when it is ready: no connection is reset, and none waits for long.

Seams: `channel.hear` of a member takes more kinds of messages; gather() asks all workers the same and hands the
answers to whoever wants them, as a page of metrics does.
"""

from __future__ import annotations

import math
from itertools import count
from typing import TYPE_CHECKING, Any

from knote import kqueue
from knote.apps.alarm import Alarm
from knote.apps.doors import Doors
from knote.apps.gathering import Gathering
from knote.apps.handler import deliver
from knote.apps.member import Member
from knote.apps.orders import Orders
from knote.apps.slot import Slot
from knote.apps.tallies import OF, Tallies

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from knote.apps.staffing import Staffing

_EVENTS = 64
_IDENTS = 1 << 32
"""Of timers, counted from here."""
_GRACE = 2.0
"""Seconds beyond the deadline, or after a stop, before a worker is killed."""
_WEIGHED = 1.0
"""Seconds between two looks at the workers' memory."""


class Master:
    """command: what starts a worker, without --worker; where: as Server's listen; staffing: a Staffing.

    tell: takes each sentence that the operator should read.  up: called once when all workers are ready.
    engine: of its own kqueue.  more: what workers are told at their start besides, as JSON has it.
    notifier: a knote.systemd.Notifier, or None.
    It listens when this returns.  Raises OSError when an address cannot be had.
    Threads: run() belongs to one; reload(), drain() and stop() may come from any, and from signal handlers.
    """

    def __init__(
        self, command: list[str], where: list[Any], staffing: Staffing, *, tell: Callable[[str], None],
        up: Callable[[], None] = lambda: None, engine: str | None = None, more: dict[str, Any] | None = None,
        notifier: Any = None,
    ) -> None:  # fmt: skip
        self.staffing = staffing
        self.tell = tell
        self.status = 0
        """For exit(): not 0 when no worker could begin."""
        self.stopping = False
        self.leaving: set[Member] = set()
        """Those that serve their connections to the end."""
        self._command = command
        self._up = up
        self._more = more or {}
        self._is_up = False
        self._batch: list[Member] = []
        """Of a reload: those that all have to be ready before one of them accepts."""
        self._again = False
        self._is_stopped = False
        self._idents = count(_IDENTS)
        self.doors = Doors(where, staffing.workers)
        self.kqueue = kqueue(engine=engine)
        self.orders = Orders(self.kqueue.control)
        self._deadline = self.alarm(self._kill_all)
        self._weigh = self.alarm(self._look_at_memory)
        self.slots = [Slot(self, number) for number in range(staffing.workers)]
        self._gathering = Gathering(self)
        self.tallies = Tallies(self)
        """What the workers have counted."""
        self._notifier = notifier

    def alarm(self, do: Callable[[], None]) -> Alarm:
        """A timer of its own."""
        return Alarm(self.kqueue, next(self._idents), do)

    # ---- for the program ---------------------------------------------------------------------------------------

    def run(self) -> int:
        """Serve until drain() or stop(), or until no worker can begin; the exit status."""
        try:
            for slot in self.slots:
                slot.start()
            if self.staffing.max_rss:
                self._weigh.set(_WEIGHED)
            while not (self.stopping and not self.members()):
                deliver(self.kqueue.control(None, _EVENTS))
        finally:
            self.close()
        return self.status

    def reload(self) -> None:
        """Have new workers take over, with the code, the certificates and the options of now; if they cannot, the
        old ones serve on."""
        self.orders.give(self._reload)

    def drain(self) -> None:
        """End when the connections have ended, at the deadline at the latest."""
        self.orders.give(self._drain)

    def stop(self) -> None:
        """End now."""
        self.orders.give(self._stop)

    def gather(self, what: str, done: Callable[[dict[int, Any]], None]) -> None:
        """Ask all workers for the same, and call done() with the answers by process number, at once or within a
        second, when those that have not answered are left out.  By the thread that runs it."""
        self._gathering.ask(what, done)

    def members(self) -> list[Member]:
        """All processes that there are."""
        there = [member for slot in self.slots for member in (slot.current, slot.next) if member is not None]
        return [*there, *self.leaving]

    def serves(self) -> bool:
        """Whether a worker is there that takes connections."""
        return any(slot.current is not None for slot in self.slots)

    def close(self) -> None:
        """End all that is left, and close the doors.  Idempotent."""
        if self.kqueue.closed:
            return
        for member in self.members():
            member.kill()
            member.end()
        self.doors.close()
        self.kqueue.close()

    def __enter__(self) -> Master:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # ---- workers come and go -----------------------------------------------------------------------------------

    def hire(self, slot: Slot) -> Member:
        """Start a process.  Raises OSError when there can be none."""
        staffing = self.staffing
        begin = {"number": slot.number, "drain": staffing.drain, "quiet": staffing.quiet, **self._more}
        member = Member(self.kqueue, self._command, self.doors, slot, begin, self._ended)
        hear = member.channel.hear
        hear["ready"] = lambda message: self._ready(member)
        hear["failed"] = lambda message: self._failed(member, message)
        hear["leaving"] = lambda message: self._leaves(member)
        hear[OF] = lambda message: self.tallies.said(member.pid, message.get("value"))
        hear["told"] = lambda message: self._gathering.told(member.pid, message)
        return member

    def _ready(self, member: Member) -> None:
        slot: Slot = member.slot
        if slot.next is not member or self.stopping:
            return
        member.set_ready(self._limit(member))
        if member in self._batch:
            if not all(one.ready_since for one in self._batch):
                return
            batch, self._batch = self._batch, []
            for one in batch:
                one.slot.take_over()
            self.tell(f"reloaded: {_workers(len(batch))} with the code of now")
            self._reloaded()
        else:
            slot.take_over()
            if not self._is_up and all(one.current is not None for one in self.slots):
                self._is_up = True
                self._up()
                if self._again:
                    self._reload()

    def _limit(self, member: Member) -> float:
        """Bytes at which it is replaced; none for one that has so many when it begins: its successor would,
        too."""
        if not self.staffing.max_rss:
            return 0.0
        size, limit = member.rss(), self.staffing.size()
        if size < limit:
            return limit
        self.tell(
            f"worker {member.slot.number} (pid {member.pid}) has {size >> 20} MiB of memory from its start: it is "
            f"not replaced for that; --worker-max-rss {(size >> 20) * 2}M leaves it room"
        )
        return 0.0

    def _failed(self, member: Member, message: dict[str, Any]) -> None:
        member.why = str(message.get("why"))
        status = message.get("status")
        if not self._is_up and isinstance(status, int):
            self.status = status

    def _leaves(self, member: Member) -> None:
        """Somebody sent it SIGTERM: it serves its connections to the end, and another one takes its place."""
        slot: Slot = member.slot
        if slot.current is member and not self.stopping:
            self.tell(f"worker {slot.number} (pid {member.pid}) was told to end; another one takes its place")
            slot.let_go()
            self.leaving.add(member)
            member.drain(self.staffing.drain, self.staffing.quiet, [])
            slot.start()

    def _ended(self, member: Member) -> None:
        slot: Slot = member.slot
        self._gathering.gone(member.pid)
        self.tallies.gone(member.pid)
        if member in self.leaving:
            self.leaving.discard(member)
        elif slot.current is member:
            slot.let_go()
            if not self.stopping:
                slot.died(member)
        elif slot.next is member:
            slot.next = None
            slot.late.clear()
            if self.stopping:
                return
            if not self._is_up:
                self._give_up(member)
            elif member in self._batch:
                self._reload_failed(member)
            else:
                slot.died(member)

    def _give_up(self, member: Member) -> None:
        """At the start a worker that cannot begin is the operator's to see, not to be tried for ever."""
        self.status = self.status or 1
        self.tell(member.why or f"worker {member.slot.number} {member.how()} before it was ready")
        self._stop()

    # ---- reload ------------------------------------------------------------------------------------------------

    def _reload(self) -> None:
        if self.stopping:
            return
        if not self._is_up:
            self._again = True
            return
        self._again = False
        self._break_off()  # a reload that is under way begins anew
        if self._notifier is not None:
            self._notifier.reloading()
        try:
            for slot in self.slots:
                slot.abandon()
                self._batch.append(slot.begin())
        except OSError as error:
            self._not_reloaded(f"no process can be started: {error.strerror}")

    def _reload_failed(self, member: Member) -> None:
        self._not_reloaded(member.why or f"the new worker {member.how()} before it was ready")

    def _not_reloaded(self, why: str) -> None:
        self._break_off()
        self.tell(f"not reloaded, the old workers serve on: {why}")
        self._reloaded()
        for slot in self.slots:
            if slot.current is None and slot.next is None:
                slot.again()

    def _break_off(self) -> None:
        batch, self._batch = self._batch, []
        for member in batch:
            member.slot.abandon()

    def _reloaded(self) -> None:
        if self._notifier is not None:
            self._notifier.ready(f"{_workers(len(self.slots))}")

    # ---- the end -----------------------------------------------------------------------------------------------

    def _drain(self) -> None:
        staffing = self.staffing
        if self.stopping:
            self._stop()
            return
        self._end()
        ours = set(self.doors.ours())
        for member in self.members():
            member.drain(staffing.drain, staffing.quiet, sorted(ours & member.accepting))
        if math.isfinite(staffing.drain):
            self._deadline.set(staffing.drain + _GRACE)

    def _stop(self) -> None:
        if self._is_stopped:
            self._kill_all()
        self._is_stopped = True
        self._end()
        for member in self.members():
            member.channel.say("stop")
        self._deadline.set(_GRACE)

    def _end(self) -> None:
        if self._notifier is not None and not self.stopping:
            self._notifier.stopping()
        self.stopping = True
        self._weigh.clear()
        self._batch.clear()
        for slot in self.slots:
            slot.end()
        self.doors.close()  # the workers' copies are left: who is queued is accepted before those close

    def _kill_all(self) -> None:
        for member in self.members():
            member.kill()

    def _look_at_memory(self) -> None:
        for slot in self.slots:
            member = slot.current
            if member is not None and member.limit and slot.next is None:
                size = member.rss()
                if size > member.limit:
                    slot.replace(f"has {size >> 20} MiB of memory")
        self._weigh.set(_WEIGHED)


def _workers(number: int) -> str:
    return "1 worker serves" if number == 1 else f"{number} workers serve"
