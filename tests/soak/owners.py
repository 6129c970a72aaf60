"""Who owned the number: random opens, dups, closes and forks, each event held against a book of ownership.

`python -m tests.soak.owners`. An event is right if its udata is that of the latest EV_ADD of its (filter,
ident), and the number has not been closed since. What is wrong is counted by what the number is by now.
Documented (docs/differences.md), and so only counted:
* While a dup or a forked child keeps a reused number's file open, epoll goes on reporting it, and until a queue
  has met with that, knote looks only now and then whether the number still means that file: at most one wrong
  event of a new registration, as many as right ones of another, and none after the first such finding.  With
  --strict there is none at all.
  An engine that keeps files open (trait `holds_files`) is itself such a dup, and tells of edges what was so when
  they came (docs/engines.md).
* A number that means the very file again, by a dup of it, may keep its knotes: no call tells the difference.
Everything else is a failure: a wrong event without such a dup, an event that is lost, a wrong errno, a queue that
polls readable for nothing, a descriptor left open.
"""

from __future__ import annotations

import argparse
import contextlib
import errno
import os
import random
import resource
import select
import sys
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any, Final

import knote
from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DELETE,
    EV_DISPATCH,
    EV_ENABLE,
    EV_ONESHOT,
    EVFILT_READ,
    EVFILT_WRITE,
    engines,
    kevent,
)
from tests.soak.estate import Estate, Holding
from tests.soak.registration import Registration

LIFE: Final = 400
QUEUES: Final = 2
ADDS: Final = (EV_ADD, EV_ADD, EV_ADD | EV_CLEAR, EV_ADD | EV_ONESHOT, EV_ADD | EV_DISPATCH)
MISSES: Final = 3
"""A level knote that is true must come within so many calls with room for all."""
SPINS: Final = 6
"""Empty returns in a row while the queue polls readable, from which on they are looked at closely."""


class Failure(AssertionError):
    """Something that no row of docs/differences.md covers."""


class Owners:
    """One life: an estate, queues, and the book."""

    def __init__(
        self, rng: random.Random, counts: Counter[str], strict: bool = False, engine: str | None = None
    ) -> None:
        self._random = rng
        self._counts = counts
        self._estate = Estate(rng)
        self._make = partial(knote.kqueue, engine=engine, strict=strict)
        self._strict = strict
        self._holds = engines.choose(engine).traits.holds_files
        self._queues = [self._make() for _ in range(QUEUES)]
        self._books: list[dict[tuple[int, int], Registration]] = [{} for _ in range(QUEUES)]
        self._all: dict[int, Registration] = {}
        self._empties = [0] * QUEUES
        self._wary = [strict] * QUEUES
        """The queue has found a number that was reported by an interest of an earlier life, or is strict."""
        self.log: list[str] = []
        self._children: list[tuple[int, int, frozenset[int]]] = []
        """(pid, descriptor to close so that it ends, the files it holds)"""
        self._steps = (
            (self._collect,) * 8 + (self._add,) * 6 + (self._write,) * 4 + (self._read,) * 3 + (self._open,) * 3
            + (self._close,) * 3 + (self._dup, self._dup2, self._cancel, self._enable)
        )  # fmt: skip

    def step(self) -> None:
        """A random one."""
        chance = self._random.random()
        if chance < 0.0005:
            self._fork()
        elif chance < 0.003:
            self._end_child()
        elif chance < 0.005:
            self._renew(self._random.randrange(QUEUES))
        else:
            self._random.choice(self._steps)()

    def close(self) -> None:
        """End everything."""
        while self._children:
            self._end_child()
        for queue in self._queues:
            queue.close()
        self._estate.close_all()

    def _say(self, *words: object) -> None:
        self.log.append(" ".join(map(str, words)))

    # ---- descriptors ---------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._say("open", self._estate.open())

    def _dup(self) -> None:
        number = self._estate.some()
        if number is not None:
            self._say(f"dup {number} ->", self._estate.dup(number))

    def _dup2(self) -> None:
        number, over = self._estate.some(), self._estate.some()
        if number is not None and over is not None:
            self._say(f"dup2 {number} ->", over)
            self._estate.dup2(number, over)

    def _close(self) -> None:
        number = self._estate.some()
        if number is not None:
            self._say("close", number)
            self._estate.close(number)

    def _write(self) -> None:
        number = self._estate.some()
        if number is not None:
            self._say("write", number, self._estate.write(number, self._random.choice((1, 1, 10, 100_000))))

    def _read(self) -> None:
        number = self._estate.some()
        if number is not None:
            self._say("read", number, self._estate.read(number, self._random.choice((1, 10, 1 << 18))))

    def _fork(self) -> None:
        if len(self._children) == 2:
            return
        r, w = os.pipe()
        pid = os.fork()
        if not pid:
            # The child's queues are closed; it holds all files until it is told to go.
            for _, other, _ in self._children:
                os.close(other)
            os.close(w)
            os._exit(not all(queue.closed for queue in self._queues) or len(os.read(r, 1)))
        os.close(r)
        held = frozenset(holding.file for holding in self._estate.holdings.values())
        self._children.append((pid, w, held))
        self._say("fork")

    def _end_child(self) -> None:
        if self._children:
            pid, w, _ = self._children.pop(0)
            self._say("child ends")
            os.close(w)
            if os.waitpid(pid, 0)[1]:
                raise Failure("a forked child's queue is not closed")

    # ---- queues --------------------------------------------------------------------------------------------

    def _renew(self, which: int) -> None:
        self._say("new queue", which)
        self._queues[which].close()
        self._queues[which] = self._make()
        self._books[which] = {}
        self._empties[which] = 0
        self._wary[which] = self._strict

    @contextlib.contextmanager
    def _scarcity(self, chance: float) -> Iterator[None]:
        """Now and then no descriptor is to be had: EMFILE, where knote wants one of its own."""
        if self._random.random() >= chance:
            yield
            return
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    def _apply(self, which: int, change: kevent, chance: float = 0.0) -> int:
        # With no room the errno is raised, and with room it is told: both, at random.
        room = self._random.randrange(2)
        told = "control", which, f"[{change}]", f"udata={change.udata}", room and 64
        try:
            with self._scarcity(chance):
                entries = self._queues[which].control([change], room and 64, 0)
        except OSError as error:
            self._say(*told, error)
            return error.errno or -1
        self._say(*told, *map(str, entries))
        if entries and entries[0].flags & knote.EV_ERROR:
            return int(entries[0].data)
        if room:
            self._judge(which, entries)
        return 0

    def _owned(self, which: int, key: tuple[int, int]) -> Registration | None:
        found = self._books[which].get(key)
        now = self._estate.holdings.get(key[1])
        if found is None or now is found.held:
            return found
        found.unsure = True
        return found if now is not None and now.file == found.held.file else None

    def _key(self) -> tuple[int, int]:
        number = self._estate.some()
        if number is None or self._random.random() < 0.05:
            number = self._random.choice(list(self._all.values())).key[1] if self._all else 300
        return self._random.choice((EVFILT_READ, EVFILT_WRITE)), number

    def _add(self) -> None:
        which, key, flags = self._random.randrange(QUEUES), self._key(), self._random.choice(ADDS)
        held = self._estate.holdings.get(key[1])
        old = self._owned(which, key)
        tag = len(self._all) + 1
        if held is not None:
            made = Registration(tag, key, held, old.flags if old else flags)
            if old is not None:
                made.disabled = old.disabled  # a second EV_ADD does not enable (S-057)
                made.unsure = old.unsure
                made.right = old.right + old.wrong
                old.gone = True
            self._all[tag] = self._books[which][key] = made
        rc = self._apply(which, kevent(key[1], key[0], flags, udata=tag), 0.03)
        if rc == 0 and held is not None:
            return
        if held is not None and not made.gone:
            made.gone = True
            self._books[which].pop(key, None)
        allowed = (errno.EBADF,) if held is None else (errno.EPIPE,)
        if rc == errno.EMFILE:
            self._counts["EMFILE told"] += 1
            if old is not None:  # it may be there, with either udata: be rid of it
                self._apply(which, kevent(key[1], key[0], EV_DELETE))
        elif rc not in allowed:
            raise Failure(f"EV_ADD on {key}: errno {rc}, expected {allowed}")

    def _cancel(self) -> None:
        self._change(EV_DELETE)

    def _enable(self) -> None:
        self._change(EV_ENABLE | knote.EV_KEEPUDATA)

    def _change(self, flags: int) -> None:
        which, key = self._random.randrange(QUEUES), self._key()
        known = self._owned(which, key)
        absent = errno.ENOENT if key[1] in self._estate.holdings else errno.EBADF
        expected = (0, absent) if known and known.unsure else (0,) if known else (absent,)
        if known is not None:
            if flags & EV_DELETE:
                known.gone = True
                del self._books[which][key]
            else:
                known.disabled = False
        rc = self._apply(which, kevent(key[1], key[0], flags))
        if rc not in expected:
            raise Failure(f"flags {flags:#x} on {key}: errno {rc}, expected {expected}")

    # ---- events --------------------------------------------------------------------------------------------

    def _collect(self) -> None:
        which = self._random.randrange(QUEUES)
        room = self._random.choice((1, 2, 64, 64, 64))
        reused = {
            key
            for key in self._listed(which)
            if key in self._books[which] and self._is_reused(self._books[which][key])
        }
        with self._scarcity(0.01):
            events = self._queues[which].control(None, room, 0)
        self._say("control", which, "[]", room, *(f"{event} udata={event.udata}," for event in events))
        came = self._judge(which, events)
        # By one that was returned it was not found: an EV_ONESHOT goes by itself.
        self._wary[which] |= bool(reused - came - self._listed(which))
        if room < 64:
            return
        due = False
        for key in list(self._books[which]):
            known = self._owned(which, key)
            if known is None or known.unsure or known.flags & EV_CLEAR or known.disabled:
                continue
            if not self._is_true(key):
                known.missed = 0
                continue
            due = True
            known.missed = 0 if key in came else known.missed + 1
            if known.missed >= MISSES:
                raise Failure(f"lost: {key}, flags {known.flags:#x}, poll says {self._estate.poll(key[1]):#x}")
        self._look_for_spin(which, bool(events) or due)

    def _listed(self, which: int) -> set[tuple[int, int]]:
        return {(kn.filter, kn.ident) for kn in self._queues[which].knotes()}

    def _is_reused(self, known: Registration) -> bool:
        # Of files nobody reports anything.
        now = self._estate.holdings.get(known.key[1])
        return now is not None and now.file != known.held.file and known.held.kind != "file"

    def _look_for_spin(self, which: int, busy: bool) -> None:
        poller = select.poll()
        poller.register(self._queues[which].fileno(), select.POLLIN)
        self._empties[which] = 0 if busy or not poller.poll(0) else self._empties[which] + 1
        if self._empties[which]:
            self._counts["empty returns of a readable queue"] += 1
        if self._empties[which] > SPINS:
            for _ in range(10 * SPINS):
                if self._queues[which].control(None, 64, 0) or not poller.poll(0):
                    return
            raise Failure("nothing is due, and the queue goes on polling readable")

    def _judge(self, which: int, events: list[Any]) -> set[tuple[int, int]]:
        came = set()
        for event in events:
            self._counts["events"] += 1
            key = event.filter, event.ident
            came.add(key)
            known = self._all[event.udata]
            if known.gone or known.key != key:
                raise Failure(f"{event!r} is of a registration that was deleted or replaced")
            now = self._estate.holdings.get(event.ident)
            if now is not known.held:
                self._wrong(which, known, now, event)
            elif self._holds and event.flags & EV_CLEAR and not self._is_true(key):
                self._counts["edges that were over"] += 1
            elif not self._is_true(key):
                raise Failure(f"{event!r}, but poll says {self._estate.poll(event.ident):#x}")
            else:
                known.right += 1
            if event.flags & EV_ONESHOT:
                known.gone = True
                self._books[which].pop(key, None)
            elif event.flags & EV_DISPATCH:
                known.disabled = True
        return came

    def _wrong(self, which: int, known: Registration, now: Holding | None, event: Any) -> None:
        file = known.held.file
        alive = any(holding.file == file for holding in self._estate.holdings.values())
        inherited = any(file in held for _, _, held in self._children)
        returned = now is not None and now.file == file
        if not (alive or inherited or self._holds):
            raise Failure(f"{event!r}: its number was closed, and nothing keeps its file open")
        if now is None:
            what = "the number is closed"
        elif returned:
            what = "the number is the same file again"
        elif now.kind == known.held.kind:
            what = "the number is another file of the same kind"
        else:
            what = "the number is a file of another kind"
        self._counts[f"wrong: {what}"] += 1
        if returned:
            known.right += 1
            return
        if self._wary[which]:
            raise Failure(f"{event!r}, and the queue knows that numbers are reused")
        known.wrong += 1
        longest = "wrong for one registration, at most"
        self._counts[longest] = max(self._counts[longest], known.wrong)
        if known.wrong > max(known.right, 1):
            raise Failure(f"{event!r}: {known.wrong} wrong events of one registration, {known.right} right ones")

    def _is_true(self, key: tuple[int, int]) -> bool:
        number = key[1]
        kind = self._estate.holdings[number].kind
        if kind == "file":
            there = os.fstat(number).st_size != os.lseek(number, 0, os.SEEK_CUR)
            return key[0] == EVFILT_WRITE or there
        seen = self._estate.poll(number)
        if key[0] == EVFILT_READ:
            return bool(seen & (select.POLLIN | select.POLLERR | select.POLLHUP))
        return bool(seen & (select.POLLOUT | select.POLLERR | (select.POLLHUP if kind == "pair" else 0)))


def lives(
    seed: int, total: int, report_s: float, told: int = 60, strict: bool = False, engine: str | None = None
) -> tuple[Counter[str], str]:
    """Play total steps: the counts, and the failure that ended it, or ''."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    start = said = time.monotonic()
    steps = life = 0
    while steps < total:
        before = set(os.listdir("/proc/self/fd"))
        owners = Owners(rng, counts, strict, engine)
        life += 1
        try:
            for _ in range(min(LIFE, total - steps)):
                steps += 1
                owners.step()
        except Failure as failure:
            print(f"the last steps of life {life}:", *owners.log[-told:], sep="\n  ")
            return counts, f"step {steps:,} (life {life}): {failure}"
        finally:
            owners.close()
        after = set(os.listdir("/proc/self/fd"))
        if len(after) != len(before):
            return counts, f"life {life}: descriptors left open: {after - before}"
        now = time.monotonic()
        if now - said >= report_s:
            said = now
            print(f"{steps:,} steps, {steps / (now - start):,.0f} a second", flush=True)
    print(f"{steps:,} steps, {steps / (time.monotonic() - start):,.0f} a second", flush=True)
    return counts, ""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="tests.soak.owners", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=None, help="default: another one each time")
    parser.add_argument("--report", type=float, default=10.0, help="seconds between lines of progress")
    parser.add_argument("--told", type=int, default=60, help="how many steps before a failure are shown")
    parser.add_argument("--strict", action="store_true", help="of kqueue(strict=True): nothing wrong is excused")
    parser.add_argument("--engine", help="of kqueue(engine=); default: the one that is chosen")
    asked = parser.parse_args()
    seed = random.randrange(1 << 32) if asked.seed is None else asked.seed
    print(f"knote {knote.build_info()['build']}, seed {seed}", flush=True)
    counts, failure = lives(seed, asked.steps, asked.report, asked.told, asked.strict, asked.engine)
    for what in sorted(counts):
        print(f"{counts[what]:>12,}  {what}")
    if failure:
        sys.exit(failure)


if __name__ == "__main__":
    main()
