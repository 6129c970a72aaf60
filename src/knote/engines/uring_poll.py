# cython: annotation_typing=False
"""io_uring(7)'s own polls, for what is edge-triggered; what is level-triggered stays epoll(7)'s.

Some facts about these polls, and what follows here:

* A multishot poll (Linux 5.13) puts a completion into shared memory at each wake-up of its file: an edge
  costs half of what epoll_wait(2) takes for one (50 ns against 85 in C). It knows edges only; by one shot and
  arming again a level costs 490 ns an event against epoll's 93. So each does what it is better at, and a wait
  sleeps in the epoll set.
* poll(2) on a ring is not woken by work that is put off until completions are asked for; an eventfd of the
  ring's is. It is in the epoll set by edge, so nobody need read it.
* With IORING_SETUP_DEFER_TASKRUN the completion is made when its thread asks for completions; without, inside
  that thread's other system calls: a write(2) to a polled pipe costs 710 ns instead of 325. Such a ring
  serves the thread that made it: a wait of another one says EEXIST, and what another one registers is epoll's
  (trait `single_thread`).
* A poll holds the open file: when the program closes the descriptor, the peer does not see it until the knote
  is deleted or found stale (trait `holds_files`).
* POLL_REMOVE says EALREADY of a poll with an edge under way, which then goes on and holds its file; ASYNC_CANCEL
  ends it all the same.
* PRI is a flag of io_uring's own inside the kernel (IO_ASYNC_POLL_COMMON): a poll for nothing else is never
  woken. Edges of PRI are epoll's.
* Where the wake-up itself comes from an eventfd (another queue, a counter), the ring's is raised some
  milliseconds later (eventfd_signal_allowed()); the ring's flags tell at once, and a wait looks at them
  first.
* The queue's own descriptors are epoll's, so a queue without EV_CLEAR serves any thread.
* It knows neither which files cannot be watched, nor what a number means now: so each has a mute registration
  in the epoll set, whose answers are the engine's.
* One that finds the completion queue full ends with its last completion (IORING_CQE_F_MORE is missing), which
  is kept elsewhere until there is room: it is armed again, which reports the state once more than there were
  edges.
"""

from __future__ import annotations

import errno
from _thread import get_ident

from knote import errors, ring
from knote._kernel.batch import Batch
from knote._kernel.time import close_fd, wake_create, wake_raise
from knote._kernel.uring import Uring
from knote.engines.epoll import EpollEngine
from knote.masks import EDGE, ERR, HUP, IN, PRI

_SUBMISSIONS = 64
_COMPLETIONS = 4096
_MOST = 256
_SETUP = 1 << 9 | 1 << 12 | 1 << 13  # TASKRUN_FLAG, SINGLE_ISSUER, DEFER_TASKRUN: Linux 6.1
_TOO_OLD = "this kernel's io_uring lacks IORING_SETUP_DEFER_TASKRUN (Linux 6.1)"
POLL_ADD = 6
ASYNC_CANCEL = 14
MULTI = 1
MORE = 1 << 1
DIRECTIONS = 0xFFFF
_SLOT = 0xFFFF_FFFF
"""In the compiled build a C integer, where the literal would be a Python one: two of them took 40 ns an event."""
RING = 0xFFFF_FFFF_FFFF_FFFF
"""The token of the ring in the epoll set; no source has it."""
_EEXIST = errno.EEXIST
_ENOENT = errno.ENOENT
_EBADF = errno.EBADF


class Poll:
    """A multishot poll under way: what a completion with its serial number says is of this token."""

    __slots__ = ("due", "fd", "mask", "place", "serial", "token", "turn")

    def __init__(self, fd: int, mask: int, token: int, serial: int) -> None:
        self.fd = fd
        self.mask = mask
        self.token = token
        self.serial = serial
        self.due = 0
        """What it reported and no wait had room for."""
        self.turn = 0
        """The wait that reported it last, and where."""
        self.place = 0


class UringPollEngine(EpollEngine):
    """Multishot polls beside an epoll set.  Raises OSError with the reason when either cannot be had.

    Threads: what is edge-triggered is reported to the thread that made it.
    """

    __slots__ = ("_bell", "_deaf", "_due", "_more", "_owner", "_polls", "_serial", "_turn", "_uring", "_within")
    name = "uring-poll"
    about = "io_uring(7)'s multishot polls for edges, epoll(7) for levels"
    traits = EpollEngine.traits._replace(sees_close=False, holds_files=True, single_thread=True)

    def __init__(self) -> None:
        why = ring.why_not()
        if why:
            raise errors.ring_unwanted(self.name, why)
        super().__init__()
        self._uring = Uring(_SUBMISSIONS, _COMPLETIONS, _SETUP)
        if self._uring.fd < 0:
            self._ep.close()
            raise errors.no_ring(-self._uring.fd)
        if self._uring.setup() & _SETUP != _SETUP:
            self._ep.close()
            self._uring.close()
            raise errors.os_error(errno.ENOSYS, _TOO_OLD)
        self._owner = get_ident()
        self._polls: list[Poll | None] = []
        """By descriptor number."""
        self._due: list[Poll] = []
        """Those that have reported something for which there was no room, oldest first."""
        self._serial = 0
        self._turn = 0
        self._within = 0
        """How many polls there are."""
        self._more = Batch()
        self._more.reserve(_SUBMISSIONS)
        self._deaf = False
        """The epoll set was built anew and has not the bell."""
        self._bell = wake_create()
        rc = self._bell
        if rc >= 0:
            rc = self._uring.notify(self._bell)
        if rc >= 0:
            rc = EpollEngine.watch(self, self._bell, 0, IN | EDGE, RING)
        if rc < 0:
            self.close()
            raise errors.creation(-rc, "the eventfd of a ring")

    @staticmethod
    def refusal() -> str:
        """Engine.refusal()."""
        why = EpollEngine.refusal() or ring.refusal()
        if why:
            return why
        made = Uring(1, 1, _SETUP)
        flags = made.setup()
        made.close()
        return "" if flags & _SETUP == _SETUP else _TOO_OLD

    def watch(self, fd: int, old: int, new: int, token: int) -> int:
        """Engine.watch()."""
        if self._deaf:
            self._listen()
        if not (old | new) & EDGE:
            return EpollEngine.watch(self, fd, old, new, token)
        poll = self._polls[fd] if fd < len(self._polls) else None
        ours = new & EDGE != 0 and not new & PRI and token >> 32 != 0 and get_ident() == self._owner
        before = EDGE if poll is not None and old else old
        now = EDGE if ours else new
        rc = EpollEngine.watch(self, fd, before, now, token)
        if rc < 0:
            if poll is not None and (rc == -_ENOENT or rc == -_EBADF):
                self._end(poll)
            return rc
        if poll is not None:
            self._end(poll)
        if ours:
            rc = self._begin(fd, new, token)
            if rc < 0:
                # Its poll has ended: whatever it was, epoll serves it.
                return EpollEngine.watch(self, fd, now, new, token)
        return 0

    def _begin(self, fd: int, mask: int, token: int) -> int:
        while len(self._polls) <= fd:
            self._polls.append(None)
        self._serial = self._serial + 1 & 0x7FFF_FFFF
        poll = Poll(fd, mask & DIRECTIONS, token, self._serial)
        rc = self._arm(poll)
        if rc < 0:
            return rc
        self._polls[fd] = poll
        self._within += 1
        return 0

    def _arm(self, poll: Poll) -> int:
        rc = self._uring.prepare(POLL_ADD, poll.fd, 0, MULTI, 0, poll.mask, poll.fd | poll.serial << 32)
        if rc == 0:
            rc = self._uring.submit(0)
            if rc < 0:
                self._uring.retract()
        return rc if rc < 0 else 0

    def _end(self, poll: Poll) -> None:
        self._polls[poll.fd] = None
        self._within -= 1
        poll.due = 0
        # Another thread's goes on until it next reports something, to nobody.
        if get_ident() == self._owner:
            self._cancel(poll.fd | poll.serial << 32)
            # The kernel puts the end of it off until it is asked for completions, and so letting go of the file,
            # which the program may be about to close.
            self._uring.submit(0)

    def _cancel(self, name: int) -> None:
        # What cannot be cancelled for want of memory is cancelled when it reports.
        if self._uring.prepare(ASYNC_CANCEL, -1, name, 0, 0, 0, 0) == 0 and self._uring.submit(0) < 0:
            self._uring.retract()

    def forget(self, fd: int, token: int) -> None:
        """Engine.forget(): the poll holds the file."""
        poll = self._polls[fd] if fd < len(self._polls) else None
        if poll is not None and poll.token == token:
            self._end(poll)

    def wait(self, batch: Batch, capacity: int, deadline_ns: int) -> int:
        """Engine.wait().  -EEXIST: there are edges, and this is not the thread that made the engine."""
        if self._within and get_ident() != self._owner:
            return -_EEXIST
        while True:
            # What is due is so though nobody could ring for it.
            pending = self._within > 0 and (self._uring.landed() or len(self._due) > 0)
            n = EpollEngine.wait(self, batch, capacity, 0 if pending else deadline_ns)
            if n < 0 or (n == 0 and not pending):
                return n
            found = self._sift(batch, n, capacity, pending)
            if n == capacity and found < n and get_ident() == self._owner:
                found = self._fill_up(batch, found, capacity)
            if found or deadline_ns == 0:
                return found
            # Nothing but the ring's own housekeeping; the next wait finds out whether time is up.

    def _fill_up(self, batch: Batch, found: int, capacity: int) -> int:
        # What is the engine's own had taken places, and the epoll set may have more.
        more = self._more
        while found < capacity:
            room = min(capacity - found, more.capacity)
            n = EpollEngine.wait(self, more, room, 0)
            if n <= 0:
                break
            got = self._sift(more, n, room, False)
            for i in range(got):
                batch.put(found + i, more.token(i), more.mask(i))
            found += got
            if n < room:
                break
        return found

    def _sift(self, batch: Batch, n: int, capacity: int, asked: bool) -> int:
        # What epoll reported, less the mute ones; and, in the ring's turn or when asked, its completions.
        found = 0
        for i in range(n):
            token = batch.token(i)
            if token == RING:
                asked = True
                continue
            fd = token & _SLOT
            poll = self._polls[fd] if fd < len(self._polls) else None
            if poll is not None and poll.token == token:
                continue
            if found < i:
                batch.put(found, token, batch.mask(i))
            found += 1
        return self._reap(batch, found, capacity) if asked else found

    def _reap(self, batch: Batch, found: int, capacity: int) -> int:
        self._turn += 1
        uring = self._uring
        more = uring.settle() != 0
        if self._due:
            found = self._make_up(batch, found, capacity)
        while True:
            # All of them: what happens to a descriptor before it is reported is one edge.
            n = uring.reap(_MOST)
            if n == 0:
                break
            for i in range(n):
                name = uring.token(i)
                if name == 0:
                    continue  # a cancellation's own
                fd = name & _SLOT
                poll = self._polls[fd] if fd < len(self._polls) else None
                if poll is None or poll.serial != name >> 32:
                    if uring.flags(i) & MORE:
                        self._cancel(name)
                    continue
                result = uring.result(i)
                mask = result & (poll.mask | ERR | HUP) if result >= 0 else ERR
                if not uring.flags(i) & MORE and self._arm(poll) < 0:
                    # By epoll then, which asks for no memory.
                    self._polls[fd] = None
                    self._within -= 1
                    EpollEngine.watch(self, fd, EDGE, poll.mask | EDGE, poll.token)
                if not mask:
                    continue
                if poll.turn == self._turn:
                    batch.put(poll.place, poll.token, batch.mask(poll.place) | mask)
                    continue
                if found == capacity:
                    if not poll.due:
                        self._due.append(poll)
                    poll.due |= mask
                    continue
                poll.turn = self._turn
                poll.place = found
                batch.put(found, poll.token, mask)
                found += 1
        if (more or self._due) and wake_raise(self._bell) < 0:
            # Nobody lowers it: told of it anew, epoll reports once more what the kernel has raised.
            self._deaf = EpollEngine.watch(self, self._bell, IN | EDGE, IN | EDGE, RING) < 0
        return found

    def _make_up(self, batch: Batch, found: int, capacity: int) -> int:
        taken = 0
        for poll in self._due:
            if found == capacity:
                break
            taken += 1
            if not poll.due:
                continue  # It has ended since.
            batch.put(found, poll.token, poll.due)
            poll.due = 0
            poll.turn = self._turn
            poll.place = found
            found += 1
        del self._due[:taken]
        return found

    def rebuild(self) -> int:
        """Engine.rebuild()."""
        rc = EpollEngine.rebuild(self)
        if rc < 0:
            return rc
        for poll in self._polls:
            if poll is not None:
                self._end(poll)
        # The old set is gone: who is told that this failed would take it for whole.
        self._listen()
        return 0

    def _listen(self) -> None:
        self._deaf = EpollEngine.watch(self, self._bell, 0, IN | EDGE, RING) < 0

    def close(self) -> None:
        """Engine.close().  The kernel lets go of the polled files at some later time.  In a forked child, too:
        what is unmapped and closed is the child's, and the parent's polls go on."""
        EpollEngine.close(self)
        self._uring.close()
        if self._bell >= 0:
            close_fd(self._bell)
            self._bell = -1
        self._polls.clear()
        self._within = 0
