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
from knote._kernel.fork import fork_count
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
from knote.life import Life
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
_ZOMBIE = ord("Z")
_EAGAIN = errno.EAGAIN
_ECHILD = errno.ECHILD
_EMFILE = errno.EMFILE
_ENFILE = errno.ENFILE
_ENOBUFS = errno.ENOBUFS
_EOPNOTSUPP = errno.EOPNOTSUPP
_ESRCH = errno.ESRCH
# Asking for 5 000 children takes 1.5 ms: a twenty-fifth of the time at most goes into it.
_SWEEP_NS = 20_000_000
_SWEEP_SHARE = 25


def children_of(pid: int) -> list[int]:
    """Its living children, as /proc tells; an empty list where it does not."""
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{task}/children") as text:
                found.extend(map(int, text.read().split()))
    except OSError:
        pass  # it is gone, or hidden: what is not found is told by NOTE_TRACKERR
    return found


class Proc(Filter):
    """A connector per queue, and only while somebody asks for what it tells: sharing one would save the kernel a
    copy of each message, and cost every queue a lock and a wake-up by another's thread."""

    __slots__ = (
        "_bare", "_by_fd", "_by_pid", "_connector", "_disown", "_enter", "_followed", "_forks", "_own", "_ready",
        "_retuned", "_timer",
    )  # fmt: skip

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.id = EVFILT_PROC
        self.forced = EV_CLEAR
        self._ready = host.ready
        self._own = host.own
        self._disown = host.disown
        self._enter = host.enter
        self._by_pid: dict[int, Life] = {}
        self._by_fd: dict[int, Life] = {}
        self._bare: dict[int, Life] = {}
        """Those without a pidfd that have not ended."""
        self._followed: dict[int, Life] = {}
        """Those of which the connector tells."""
        self._connector: Connector | None = None
        self._retuned = True
        """The connector knows whom we follow."""
        self._forks = 0
        self._timer = -1
        """The sweep's timerfd."""

    # ---- changes -------------------------------------------------------------------------------------------

    def attach(self, kn: Knote) -> int:
        """Filter.attach()."""
        if kn.ident > _PID_MAX:
            return _ESRCH
        if kn.sfflags & NOTE_SIGNAL:
            return _EOPNOTSUPP
        kn.status |= SOFT
        life = Life(kn, kn.ident)
        rc = self._begin(life, False)
        self._settle()
        return rc

    def _begin(self, life: Life, tracked: bool) -> int:
        """Watch it; 0, or an errno and nothing has changed.  tracked: it was there a moment ago, gone or not."""
        kn = life.kn
        pid = life.pid
        if kn.sfflags & FOLLOWED:
            # First of all: what it does from now on is heard.
            rc = self._follow(life)
            if rc:
                return rc
        rc = 0
        fd = pidfd_open(pid)
        if fd >= 0:
            if not kn.sfflags & NOTE_EXIT and not tracked and pidfd_state(fd) & IN:
                rc = _ESRCH  # A zombie does nothing any more (S-198).
            else:
                rc = -self._own(fd, self)
            if rc:
                close_fd(fd)
            else:
                life.fd = fd
                self._by_fd[fd] = life
        elif fd in (-_EMFILE, -_ENFILE):
            rc = self._begin_bare(life)
        elif tracked:
            # Waited for already: the connector's record of its end is on the way.
            life.gone = True
            self._bare[pid] = life
        else:
            # EINVAL and ENOENT are for 0 and for a thread that is not its process's first.
            rc = _ESRCH if fd not in (-errno.ENOMEM, -errno.ENODEV, -errno.ENOSYS) else -fd
        if rc:
            self._unfollow(life)
            return rc
        self._by_pid[pid] = life
        if life.fd < 0 and life.child:
            self._ask(life)  # Ended already: there will be no word of it.
        return 0

    def _begin_bare(self, life: Life) -> int:
        life.child = child_status(life.pid) != -_ECHILD
        rc = self._listen()
        if rc and not life.child:
            return _EMFILE
        if rc:
            if self._timer < 0 and not self._start_sweep():
                return _EMFILE
        else:
            self._retuned = False
        self._bare[life.pid] = life
        self._settle()  # From here on its end is heard.
        if not life.child:
            ended = has_ended(life.pid)
            if ended < 0 or (ended and not life.kn.sfflags & NOTE_EXIT):
                del self._bare[life.pid]
                self._retuned = False
                return -ended if ended < 0 else _ESRCH
            if ended:
                self._finish(life, -1)
        return 0

    def touch(self, kn: Knote, flags: int, fflags: int, data: int) -> int:
        """Filter.touch(): the notes as they come, EV_ADD or not (S-059, S-215)."""
        if fflags & NOTE_SIGNAL:
            return _EOPNOTSUPP
        life = self._by_pid[kn.ident]
        before = kn.sfflags
        kn.sfflags = fflags
        if fflags & FOLLOWED and not life.over:
            rc = self._follow(life)
            if rc:
                kn.sfflags = before
                return rc
        else:
            self._unfollow(life)
        self._settle()
        kn.sdata = data
        if life.over and fflags & NOTE_EXIT:
            life.pending |= NOTE_EXIT
        if life.pending or life.over or life.parent >= 0:
            kn.status |= ACTIVE
        return 0

    def detach(self, kn: Knote) -> None:
        """Filter.detach()."""
        life = self._by_pid.pop(kn.ident, None)
        if life is not None:
            self._let_go(life)
            self._settle()

    def _let_go(self, life: Life) -> None:
        if life.fd >= 0:
            # Closing does not take it out of the engine while a forked child holds a copy (S-398).
            self._disown(life.fd)
            del self._by_fd[life.fd]
            close_fd(life.fd)
            life.fd = -1
        elif self._bare.pop(life.pid, None) is not None:
            self._retuned = False
        self._unfollow(life)

    # ---- what is true --------------------------------------------------------------------------------------

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event()."""
        life = self._by_pid[kn.ident]
        kn.shown = 0
        kn.data = 0
        kn.fflags = 0
        if life.parent >= 0:
            # On FreeBSD a knote of its own, gone once it is returned; what comes next is not merged with it, since
            # both have something to say in data (S-210).
            kn.fflags = NOTE_CHILD
            kn.data = life.parent
            kn.shown = EV_ONESHOT
            life.parent = -1
            if life.pending or life.over:
                self._ready.append(kn)
            return IS_ACTIVE
        if not life.pending:
            # Ended, and nobody asked for that: the knote goes without a word (S-205).
            return DROP if life.over else NOT_ACTIVE
        kn.fflags = life.pending
        life.pending = 0
        if life.over:
            kn.shown = EV_EOF
            kn.flags |= EV_ONESHOT
            if kn.fflags & NOTE_EXIT:
                kn.data = life.status
        elif life.once:
            kn.flags |= EV_ONESHOT
        return IS_ACTIVE

    def drain(self, number: int) -> None:
        """Drain.drain(): a process has ended, the connector says something, or it is time to ask."""
        life = self._by_fd.get(number)
        if life is not None:
            if life.pid in self._followed:
                # What it did comes before its end.
                self._hear()
            if not life.over:
                status = exit_status(life.fd, life.pid)
                if status != -_EAGAIN:
                    self._finish(life, status)
        elif number == self._timer:
            self._sweep()
        elif self._connector is not None and number == self._connector.fd:
            self._hear()
        self._settle()

    def _activate(self, kn: Knote) -> None:
        kn.status |= ACTIVE
        if not kn.status & DISABLED:
            self._ready.append(kn)

    def _finish(self, life: Life, status: int) -> None:
        if status < 0:
            status = life.told
        life.status = status
        life.over = True
        kn = life.kn
        if kn.sfflags & NOTE_EXIT:
            life.pending |= NOTE_EXIT
        self._let_go(life)
        self._activate(kn)

    def _ask(self, life: Life) -> None:
        # Of one without a pidfd.
        if life.child:
            status = child_status(life.pid)
            if status != -_EAGAIN:
                self._finish(life, status)
        elif life.gone or has_ended(life.pid) != 0:
            self._finish(life, -1)

    # ---- the connector -------------------------------------------------------------------------------------

    def _listen(self) -> int:
        """Have a connector; 0, or an errno."""
        if self._connector is not None:
            return 0
        connector = Connector()
        if connector.fd < 0:
            return _EMFILE if connector.fd in (-_EMFILE, -_ENFILE) else _EOPNOTSUPP
        rc = self._own(connector.fd, self)
        if rc < 0:
            connector.close(True)
            return -rc
        self._connector = connector
        self._forks = fork_count()
        return 0

    def _follow(self, life: Life) -> int:
        rc = self._listen()
        if rc:
            return rc
        self._followed[life.pid] = life
        self._retuned = False
        self._settle()
        if life.kn.sfflags & NOTE_EXEC:
            life.image = image(life.pid)
        return 0

    def _unfollow(self, life: Life) -> None:
        if self._followed.get(life.pid) is life:
            del self._followed[life.pid]
            self._retuned = False

    def _settle(self) -> None:
        """Tell the connector whom we follow, or give it back; likewise the sweep's clock."""
        if self._timer >= 0 and not self._bare:
            self._disown(self._timer)
            close_fd(self._timer)
            self._timer = -1
        if self._retuned or self._connector is None:
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
        while n:
            if n == -_ENOBUFS:
                self._catch_up()
            elif n < 0:
                return
            for i in range(n):
                what = connector.what(i)
                life = self._by_pid.get(connector.pid(i))
                if life is None or life.over:
                    continue
                if what == PROC_FORK:
                    self._forked(life, connector.value(i))
                elif what == PROC_EXEC:
                    self._executed(life)
                elif what == PROC_EXIT:
                    self._exited(life, connector.value(i))
            n = connector.read()

    def _forked(self, life: Life, child: int) -> None:
        kn = life.kn
        if kn.sfflags & NOTE_TRACK:
            self._track(life, child)
        if kn.sfflags & NOTE_FORK:
            life.pending |= NOTE_FORK
        if life.pending:
            self._activate(kn)

    def _executed(self, life: Life) -> None:
        kn = life.kn
        if kn.sfflags & NOTE_EXEC:
            life.pending |= NOTE_EXEC
            life.image = image(life.pid)
            self._activate(kn)

    def _exited(self, life: Life, status: int) -> None:
        if life.fd >= 0:
            if pidfd_state(life.fd) & IN:
                life.told = status  # Its pidfd says the same, and perhaps no status.
            elif leader_state(life.pid) != _ZOMBIE:
                # When its pidfd was opened, the child that NOTE_TRACK found had gone and its number was another's.
                life.told = status
                self._finish(life, -1)
            return
        life.told = status
        self._ask(life)

    def _track(self, life: Life, child: int) -> None:
        kn = life.kn
        kid = self._by_pid.get(child)
        if kid is None:
            knote = Knote.__new__(Knote)
            knote.begin(child, self, kn.flags & ~EV_ONESHOT, kn.sfflags, 0, kn.udata)
            knote.status |= SOFT
            kid = Life(knote, child)
            kid.once = kn.flags & EV_ONESHOT != 0
            if self._begin(kid, True):
                life.pending |= NOTE_TRACKERR
                return
            self._enter(knote)
        kid.parent = life.pid
        self._activate(kid.kn)

    def _catch_up(self) -> None:
        """Messages were lost.  What /proc still shows is found there; a fork leaves no trace, so it is taken to
        have happened, and that children may have been missed is NOTE_TRACKERR."""
        todo = list(self._followed.values())
        while todo:
            life = todo.pop()
            notes = life.kn.sfflags
            if notes & NOTE_TRACK:
                life.pending |= NOTE_TRACKERR
                for child in children_of(life.pid):
                    if child not in self._by_pid:
                        self._track(life, child)
                        if child in self._by_pid:
                            todo.append(self._by_pid[child])
            life.pending |= notes & NOTE_FORK
            if notes & NOTE_EXEC:
                now = image(life.pid)
                if now != life.image or now in (0, 1):
                    life.image = now
                    life.pending |= NOTE_EXEC
            if life.pending:
                self._activate(life.kn)
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
            self._connector.close(self._forks == fork_count())
            self._connector = None
