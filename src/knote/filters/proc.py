# cython: annotation_typing=False
"""EVFILT_PROC: a process ends, forks, executes.  See kqueue(2) on FreeBSD; spec 2.10, 6.5.

Ends are seen by a pidfd each, which is of that process for ever, whatever becomes of its number.  Where
descriptors run short (pidfd.pidfd_open() leaves the program a reserve) a process is watched without: by the
connector's exits, and where there is no connector, a child by asking for it now and then.  Forks and execs come
from the connector.
"""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING

from knote._kernel.connector import Connector
from knote._kernel.pidfd import child_status, exit_status, has_ended, image, leader_state, pidfd_open, pidfd_state
from knote._kernel.time import close_fd, now_ns, timer_create, timer_set
from knote.constants import (
    EV_CLEAR,
    EV_EOF,
    EV_ONESHOT,
    EVFILT_PROC,
    NOTE_CHILD,
    NOTE_EXEC,
    NOTE_EXIT,
    NOTE_FORK,
    NOTE_SIGNAL,
    NOTE_TRACK,
    NOTE_TRACKERR,
)
from knote.filters.base import DROP, IS_ACTIVE, NOT_ACTIVE, Filter
from knote.knote import ACTIVE, DISABLED, SOFT, Knote
from knote.life import Life, children_of
from knote.masks import IN

if TYPE_CHECKING:
    from knote.host import Host

FOLLOWED = NOTE_FORK | NOTE_EXEC | NOTE_TRACK
"""What only the connector tells."""
PROC_FORK = 0x1
PROC_EXEC = 0x2
PROC_EXIT = 0x80000000
CLOCK_MONOTONIC = time.CLOCK_MONOTONIC
_PID_MAX = 0x7FFFFFFF
_ANNOUNCEMENT = -2
"""In due: the knote of a NOTE_CHILD, which is in no table and watches nothing."""
_ZOMBIE = ord("Z")
_EAGAIN = errno.EAGAIN
_ECHILD = errno.ECHILD
_EMFILE = errno.EMFILE
_ENFILE = errno.ENFILE
_ENOBUFS = errno.ENOBUFS
_EOPNOTSUPP = errno.EOPNOTSUPP
_SCARCE = (-errno.EINTR, -errno.ENOMEM, -errno.EAGAIN, -errno.ENOBUFS)
_READ_TRIES = 4
_ESRCH = errno.ESRCH
# Asking for 5 000 children takes 1.5 ms: a twenty-fifth of the time at most goes into it.
_SWEEP_NS = 20_000_000
_SWEEP_SHARE = 25


class Proc(Filter):
    """What a knote needs is in the knote: due is its pidfd, -1 if it has none; fflags, data and shown are what it
    will say, from the moment it is ACTIVE; with EV_EOF in shown the process has ended, and period is its status.

    A connector per queue, and only while somebody asks for what it tells: sharing one would save the kernel a copy
    of each message, and cost every queue a lock and a wake-up by another's thread.
    """

    __slots__ = (
        "_bare", "_by_fd", "_connector", "_disown", "_followed", "_opener", "_own", "_ready", "_retuned",
        "_table", "_timer",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_PROC
        self.forced = EV_CLEAR
        self._ready = host.ready
        self._table = host.table
        self._own = host.own
        self._disown = host.disown
        self._by_fd: dict[int, Knote] = {}
        self._bare: dict[int, Life] = {}
        """Those without a pidfd that have not ended, by number."""
        self._followed: dict[int, Life] = {}
        """Those of which the connector tells, by number."""
        self._connector: Connector | None = None
        self._retuned = True
        """The connector knows whom we follow."""
        self._opener = 0
        """The process that opened it."""
        self._timer = -1
        """The sweep's timerfd."""

    # ---- changes -------------------------------------------------------------------------------------------

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        if kn.ident > _PID_MAX:
            return _ESRCH
        if kn.sfflags & NOTE_SIGNAL:
            return _EOPNOTSUPP
        rc = self._begin(kn, False)
        self._settle()
        return rc

    def _begin(self, kn: Knote, tracked: bool) -> int:
        """Watch it; 0, or an errno and nothing has changed.  tracked: it was there a moment ago, gone or not."""
        pid = kn.ident
        kn.status |= SOFT
        kn.due = -1
        rc = 0
        if kn.sfflags & FOLLOWED:
            # First of all: what it does from now on is heard.
            rc = self._follow(kn)
            if rc:
                return rc
        fd = pidfd_open(pid)
        if fd >= 0:
            if not kn.sfflags & NOTE_EXIT and not tracked and pidfd_state(fd) & IN:
                rc = _ESRCH  # A zombie does nothing any more (S-198).
            else:
                rc = -self._own(fd, self)
            if rc:
                close_fd(fd)
            else:
                kn.due = fd
                self._by_fd[fd] = kn
        elif fd in (-_EMFILE, -_ENFILE):
            rc = self._begin_bare(kn)
        elif tracked:
            # Waited for already: the connector's record of its end is on the way.
            life = self._life(kn)
            life.gone = True
            self._bare[pid] = life
        else:
            # EINVAL and ENOENT are for 0 and for a thread that is not its process's first.
            rc = _ESRCH if fd in (-errno.EINVAL, -errno.ENOENT) else -fd
        if rc:
            self._unfollow(kn)
        return rc

    def _begin_bare(self, kn: Knote) -> int:
        life = self._life(kn)
        life.child = child_status(life.pid) != -_ECHILD
        rc = self._listen()
        if rc and (not life.child or (self._timer < 0 and not self._start_sweep())):
            return _EMFILE
        self._bare[life.pid] = life
        self._retuned = False
        self._settle()  # From here on its end is heard: of one before there will be no word.
        if life.child:
            self._ask(life)
            return 0
        ended = has_ended(life.pid)
        if ended < 0 or (ended and not kn.sfflags & NOTE_EXIT):
            self._let_go(kn)
            return -ended if ended < 0 else _ESRCH
        if ended:
            self._finish(kn, -1)
        return 0

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch(): the notes as they come, EV_ADD or not (S-059, S-215)."""
        if fflags & NOTE_SIGNAL:
            return _EOPNOTSUPP
        before = kn.sfflags
        kn.sfflags = fflags
        if fflags & FOLLOWED and not kn.shown & EV_EOF:
            rc = self._follow(kn)
            if rc:
                kn.sfflags = before
                return rc
        else:
            self._unfollow(kn)
        self._settle()
        kn.sdata = data
        if kn.shown & EV_EOF and fflags & NOTE_EXIT:
            kn.fflags |= NOTE_EXIT
            kn.data = kn.period
        return 0

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        if kn.due != _ANNOUNCEMENT:
            self._let_go(kn)
            self._settle()

    def _let_go(self, kn: Knote) -> None:
        fd = kn.due
        if fd >= 0:
            # Closing does not take it out of the engine while a forked child holds a copy (S-398).
            self._disown(fd)
            del self._by_fd[fd]
            close_fd(fd)
            kn.due = -1
        elif self._bare and self._bare.pop(kn.ident, None) is not None:
            self._retuned = False
        if self._followed:
            self._unfollow(kn)

    # ---- what is true --------------------------------------------------------------------------------------

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        if not kn.status & ACTIVE:
            kn.fflags = 0
            kn.data = 0
            return NOT_ACTIVE
        if kn.due >= 0:
            # It forked or executed; has it ended since, that is the same event (S-206).
            status = exit_status(kn.due, kn.ident)
            if status != -_EAGAIN:
                self._finish(kn, status)
        if kn.shown & EV_EOF:
            if not kn.fflags:
                # Ended, and nobody asked for that: the knote goes without a word (S-205).
                return DROP
            kn.flags |= EV_ONESHOT
        return IS_ACTIVE

    def drain(self, number: int) -> None:
        """Drain.drain(): a process has ended, the connector says something, or it is time to ask."""
        kn = self._by_fd.get(number)
        if kn is not None:
            if self._followed and kn.ident in self._followed:
                # What it did comes before its end.
                self._hear()
            if not kn.shown & EV_EOF:
                status = exit_status(number, kn.ident)
                if status != -_EAGAIN:
                    self._finish(kn, status)
        elif number == self._timer:
            self._sweep()
        elif self._connector is not None and number == self._connector.fd:
            self._hear()
        self._settle()

    def _activate(self, kn: Knote, notes: int) -> None:
        if not kn.status & ACTIVE:
            # What it said before was returned.
            kn.fflags = 0
            kn.data = 0
        kn.fflags |= notes
        kn.status |= ACTIVE
        if not kn.status & DISABLED:
            self._ready.append(kn)

    def _finish(self, kn: Knote, status: int) -> None:
        if status < 0:
            life = self._known(kn.ident)
            status = -1 if life is None else life.told
        self._let_go(kn)
        kn.period = status
        self._activate(kn, kn.sfflags & NOTE_EXIT)
        kn.shown = EV_EOF
        if kn.sfflags & NOTE_EXIT:
            kn.data = status

    def _ask(self, life: Life) -> None:
        # Of one without a pidfd.
        if life.child:
            status = child_status(life.pid)
            if status != -_EAGAIN:
                self._finish(life.kn, status)
        elif life.gone or has_ended(life.pid) != 0:
            self._finish(life.kn, -1)

    def _known(self, pid: int) -> Life | None:
        return self._followed.get(pid) or self._bare.get(pid)

    def _life(self, kn: Knote) -> Life:
        return self._known(kn.ident) or Life(kn, kn.ident)

    # ---- the connector -------------------------------------------------------------------------------------

    def _listen(self) -> int:
        """Have a connector; 0, or an errno."""
        if self._connector is not None:
            return 0
        connector = Connector()
        if connector.fd < 0:
            # For want of something, which another time may not be wanting; or not allowed.
            if connector.fd in (-_EMFILE, -_ENFILE):
                return _EMFILE
            return -connector.fd if connector.fd in _SCARCE else _EOPNOTSUPP
        rc = self._own(connector.fd, self)
        if rc < 0:
            connector.close(True)
            return -rc
        self._connector = connector
        self._opener = os.getpid()
        return 0

    def _follow(self, kn: Knote) -> int:
        rc = self._listen()
        if rc:
            return rc
        life = self._life(kn)
        self._followed[life.pid] = life
        self._retuned = False
        self._settle()
        if kn.sfflags & NOTE_EXEC:
            life.image = image(life.pid)
        return 0

    def _unfollow(self, kn: Knote) -> None:
        if self._followed.pop(kn.ident, None) is not None:
            self._retuned = False

    def _settle(self) -> None:
        """Tell the connector whom we follow, or give it back; likewise the sweep's clock."""
        if self._timer >= 0 and not self._bare:
            self._disown(self._timer)
            close_fd(self._timer)
            self._timer = -1
        if self._connector is None or (self._retuned and (self._followed or self._bare)):
            return
        self._retuned = True
        if not self._followed and not self._bare:
            self._disown(self._connector.fd)
            self._connector.close(True)
            self._connector = None
            return
        everything = False
        for life in self._followed.values():
            # Its children are not known before they have children of their own.
            if life.kn.sfflags & NOTE_TRACK:
                everything = True
                break
        self._connector.tune(list(self._followed), everything, len(self._bare) > 0)

    def _hear(self) -> None:
        connector = self._connector
        if connector is None:
            return
        n = connector.read()
        failures = 0
        while n:
            if n == -_ENOBUFS:
                self._catch_up()
            elif n < 0:
                failures += 1
                if failures == _READ_TRIES:
                    self._catch_up()  # what it has to say will not be heard
                    return
            for i in range(n):
                life = self._known(connector.pid(i))
                if life is not None:
                    self._heard(life, connector.what(i), connector.value(i))
            n = connector.read()

    def _heard(self, life: Life, what: int, value: int) -> None:
        kn = life.kn
        notes = kn.sfflags
        if what == PROC_FORK:
            errors = self._track(kn, value) if notes & NOTE_TRACK else 0
            if errors or notes & NOTE_FORK:
                self._activate(kn, errors | notes & NOTE_FORK)
        elif what == PROC_EXEC and notes & NOTE_EXEC:
            life.image = image(life.pid)
            self._activate(kn, NOTE_EXEC)
        elif what == PROC_EXIT:
            life.told = value
            if kn.due < 0:
                self._ask(life)
            elif not pidfd_state(kn.due) & IN and leader_state(life.pid) != _ZOMBIE:
                # When its pidfd was opened, the child that NOTE_TRACK found had gone and its number was another's.
                self._finish(kn, -1)

    def _track(self, kn: Knote, child: int) -> int:
        """A followed process has a child; 0, or NOTE_TRACKERR.  The announcement is a knote of its own: it and
        NOTE_EXIT have something to say in data, and are never one event (S-210)."""
        kid = Knote.__new__(Knote)
        if self._table.find(self.id, child) is None:
            kid.begin(child, self, kn.flags, kn.sfflags, 0, kn.udata)
            if self._begin(kid, True):
                return NOTE_TRACKERR
            self._table.add(kid)
        told = Knote.__new__(Knote)
        told.begin(child, self, kn.flags | EV_ONESHOT, 0, 0, kn.udata)
        told.status |= SOFT
        told.due = _ANNOUNCEMENT
        self._activate(told, NOTE_CHILD)
        told.data = kn.ident
        return 0

    def _catch_up(self) -> None:
        """Messages were lost.  What /proc still shows is found there; a fork leaves no trace, so it is taken to
        have happened, and that children may have been missed is NOTE_TRACKERR."""
        todo = list(self._followed.values())
        while todo:
            life = todo.pop()
            kn = life.kn
            notes = kn.sfflags & NOTE_FORK
            if kn.sfflags & NOTE_TRACK:
                notes |= NOTE_TRACKERR
                for child in children_of(life.pid):
                    if child not in self._followed and not self._track(kn, child) and child in self._followed:
                        todo.append(self._followed[child])
            if kn.sfflags & NOTE_EXEC:
                now = image(life.pid)
                if now != life.image or now in (0, 1):
                    life.image = now
                    notes |= NOTE_EXEC
            if notes:
                self._activate(kn, notes)
        for life in list(self._bare.values()):
            self._ask(life)

    # ---- without a connector -------------------------------------------------------------------------------

    def _start_sweep(self) -> bool:
        fd = timer_create(CLOCK_MONOTONIC)
        if fd < 0:
            return False
        if self._own(fd, self) < 0:
            close_fd(fd)
            return False
        self._timer = fd
        timer_set(fd, now_ns(CLOCK_MONOTONIC) + _SWEEP_NS)
        return True

    def _sweep(self) -> None:
        began = now_ns(CLOCK_MONOTONIC)
        for life in list(self._bare.values()):
            self._ask(life)
        now = now_ns(CLOCK_MONOTONIC)
        timer_set(self._timer, now + max(_SWEEP_NS, _SWEEP_SHARE * (now - began)))

    def close(self) -> None:
        """Filter.close()."""
        for fd in self._by_fd:
            close_fd(fd)
        self._by_fd.clear()
        if self._timer >= 0:
            close_fd(self._timer)
            self._timer = -1
        if self._connector is not None:
            # A forked child shares the socket with its parent, which goes on listening.
            self._connector.close(self._opener == os.getpid())
            self._connector = None
