"""Plays steps on knote and on the model, and says where they differ.

A step is a plain tuple, so that a list of them can be printed, shortened and played again:
    ("open", slot, "pipe" | "pair")     ("close", end)          ("shutdown", end, how)
    ("write", end, n)                   ("read", end, n)        ("poll", queue)
    ("control", queue, [change ...], maxevents, patient)
A change is (what, filter, flags, fflags, data, udata); what is ("end", 3), whose number it names even when closed,
or a bare number.  What cannot be done (an end that is not there) is passed over, so any part of a list plays.

On an engine that keeps files open (trait `holds_files`) a program deletes knotes before it closes their descriptor
(docs/engines.md), and so does this one: the model knows nothing of files that nobody has open.
"""

from __future__ import annotations

import os
import select
import signal
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

import knote
from knote import engines
from tests.soak.model import ANY, OF_DESCRIPTORS, Change, Event, Queue
from tests.soak.world import End, World
from tests.support.waiting import SOON

Step = tuple[Any, ...]
SLOTS: Final = 3
QUEUES: Final = 2
PATIENCE_S: Final = 2.0
HASTE_S: Final = 0.02
"""Where a list of steps is made shorter, and each attempt may wait in vain."""
NUMBER_OF_NOTHING: Final = 900


class Difference(AssertionError):
    """knote did what the model does not know."""


class Player:
    """A world, its queues on knote and on the model."""

    def __init__(self, patience: float = PATIENCE_S) -> None:
        self._patience = patience
        self.world = World(SLOTS, self._happened, self._closed)
        traits = engines.choose().traits
        self._holds = traits.holds_files
        # It may tell a little later, but must before many others; what asks poll(2) before it sleeps need not.
        self._late = traits.late and not traits.misses
        self.models = [Queue(self.world, traits.holds_files and traits.edge) for _ in range(QUEUES)]
        self.queues = [knote.kqueue() for _ in range(QUEUES)]

    def close(self) -> None:
        """Give all descriptors back."""
        for queue in self.queues:
            queue.close()
        self.world.close_all()

    def _happened(self, end: End, directions: int, sure: bool) -> None:
        for model in self.models:
            model.happened(end, directions, sure)

    def _closed(self, fd: int) -> None:
        for model in self.models:
            model.closed(fd)

    def play(self, step: Step) -> None:
        """One step; Difference if knote's answer is not the model's."""
        what, *rest = step
        if what == "open":
            self.world.open(*rest)
        elif what == "control":
            self._control(*rest)
        elif what == "poll":
            self._poll(*rest)
        else:
            end = self.world.ends[rest[0]]
            if end is not None and end.is_open:
                held = what == "close" and self._holds and self._delete(end)
                with told_of_the_end(end.peer if held and end.peer.is_open else None):
                    getattr(self.world, what)(end, *rest[1:])

    def _delete(self, end: End) -> bool:
        """Whether anybody had knotes of it."""
        found = False
        for model, queue in zip(self.models, self.queues, strict=True):
            for number in OF_DESCRIPTORS:
                if (number, end.fd) in model.knotes:
                    queue.control([knote.kevent(end.fd, number, knote.EV_DELETE)], 0)
                    found = True
        return found

    def _ident(self, what: Any) -> int:
        if not isinstance(what, tuple):
            return int(what)
        end = self.world.ends[what[1]]
        return end.fd if end is not None else NUMBER_OF_NOTHING

    def _poll(self, number: int) -> None:
        # To say "readable" too often is allowed, too rarely is not (S-014).
        if any(must for _, must in self.models[number].due().values()):
            poller = select.poll()
            poller.register(self.queues[number].fileno(), select.POLLIN)
            if not poller.poll(0):
                raise Difference("an event is due, and poll(2) on the queue says that there is none")

    def _control(self, number: int, changes: list[Any], maxevents: int, patient: bool) -> None:
        model, queue = self.models[number], self.queues[number]
        named = [Change(self._ident(what), *rest) for what, *rest in changes]
        entries, error, lost = model.apply(named, maxevents)
        due = {} if error or entries or lost or not maxevents else model.due()
        timeout = self._patience if patient and any(must for _, must in due.values()) else 0
        failed = 0
        try:
            got = queue.control([knote.kevent(*change) for change in named], maxevents, timeout)
        except OSError as raised:
            got, failed = [], raised.errno or -1
        except (AssertionError, AttributeError, TypeError, RuntimeError, RecursionError) as raised:
            if isinstance(raised, Difference):
                raise
            place = traceback.extract_tb(raised.__traceback__)[-1]
            where = f"{place.name}, {place.filename.rpartition('/')[2]}"
            raise Difference(f"{type(raised).__name__} in {where}: {raised}") from raised
        events = [Event(e.ident, e.filter, e.flags, e.fflags, e.data, e.udata) for e in got]
        if failed != error:
            raise Difference(f"errno {failed}, expected {error}, of {tell(named)}")
        if error or entries or lost or not maxevents:
            if error or lost:
                entries = []
            if events != entries:
                raise Difference(f"entries\n  {tell(events)}\nexpected\n  {tell(entries)}")
            return
        if timeout and not events:
            raise Difference(f"waited in vain for {tell(event for event, must in due.values() if must)}")
        self._compare(model, due, events, maxevents)

    def _compare(
        self, model: Queue, due: dict[tuple[int, int], tuple[Event, bool]], events: list[Event], room: int
    ) -> None:
        seen = set()
        for event in events:
            key = event.filter, event.ident
            if key in seen:
                raise Difference(f"twice in one call: {tell([event])}")
            seen.add(key)
            if key not in due:
                raise Difference(f"not due: {tell([event])}\nof {tell(e for e, _ in due.values())}")
            if not due[key][0].allows(event):
                raise Difference(f"got {tell([event])}, expected {tell([due[key][0]])}")
            if event.filter == knote.EVFILT_WRITE and (event.data or 0) < 0:
                raise Difference(f"no room in {tell([event])}")
        missing = [event for key, (event, must) in due.items() if must and key not in seen]
        if missing and len(events) < room and not self._late:
            raise Difference(f"lost: {tell(missing)}\nreturned {tell(events)}")
        for event in events:
            model.returned((event.filter, event.ident), event)
        for key, kn in model.knotes.items():
            if key not in due or key in seen:
                kn.passed = 0
                continue
            if not due[key][1]:
                continue
            kn.passed += len(events) or 1
            if kn.passed > 4 * len(model.knotes) + 16:
                raise Difference(f"passed over: {tell([due[key][0]])}, while {kn.passed} others went out")


@contextmanager
def told_of_the_end(end: End | None) -> Iterator[None]:
    """Goes on when the kernel has let go of the other end's file, which wakes this one."""
    if end is None:
        yield
        return
    with select.epoll() as edges:
        edges.register(end.fd, select.EPOLLIN | select.EPOLLOUT | select.EPOLLET)
        edges.poll(0)
        yield
        assert edges.poll(SOON), "a file whose knotes were deleted stays open"


def tell(events: Any) -> str:
    """Events or changes as a person reads them."""
    words = []
    for event in events:
        got = [0 if value is ANY else value for value in event]
        words.append(str(knote.kevent(*got)) + f" udata={event.udata}" + (" data=?" if event.data is ANY else ""))
    return "[" + "; ".join(words) + "]"


def _hangs(_number: int, frame: object) -> None:
    raise Difference(f"hangs: in {frame}")


@contextmanager
def player(patience: float = PATIENCE_S) -> Iterator[Player]:
    """A fresh one; afterwards every descriptor is given back, or that is the difference."""
    before = os.listdir("/proc/self/fd")
    made = Player(patience)
    # An endless loop: in Python its place is told, in compiled code the process stands still, with faulthandler's
    # word for where.
    handler = signal.signal(signal.SIGALRM, _hangs)
    signal.setitimer(signal.ITIMER_REAL, 20 * patience + 0.5)
    try:
        yield made
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        made.close()
    after = os.listdir("/proc/self/fd")
    if len(after) != len(before):
        raise Difference(f"descriptors left open: {set(after) - set(before)}")


def first_difference(steps: list[Step]) -> tuple[int, str] | None:
    """Play all steps on a fresh world: the place of the first difference and what it is, or None."""
    place = -1
    try:
        with player(HASTE_S) as made:
            for place, step in enumerate(steps):  # noqa: B007  # the except clause tells it
                made.play(step)
    except Difference as difference:
        return place, str(difference)
    return None


__all__ = ["Difference", "Player", "Step", "first_difference", "player", "tell"]
