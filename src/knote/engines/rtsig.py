# cython: annotation_typing=False
"""Signals as a readiness mechanism: fcntl(2) F_SETSIG and O_ASYNC, the way of Linux 2.2 and phhttpd.

Some facts about these signals, and what follows here:

* A signal tells that something happened, once, and to another thread (see below), a little later.  So a signal
  ends a sleep, and no more: what is true the witness of ListedEngine is asked before a wait sleeps, and whatever
  a signal was about is polled by those that sleep, until it is found not ready.  A sleep costs what is ready, not
  what is watched.
* Ready before it was set up is not told: what is new is polled once.
* More signals than RLIMIT_SIGPENDING are lost, and SIGIO says so: then everything is polled once.
* A signal goes to a thread of the engine's own, which alone has it blocked.  Taken by the waiting thread itself it
  would have to be blocked in every thread of the program, or end it.  It costs two switches of threads an event.
* Owner, signal and O_ASYNC belong to the open file: all who have it open see them, in other processes, too (trait
  `alters_files`).  A file that has an owner or O_ASYNC already is polled: it is somebody else's, another queue's,
  or the same file under another number.  What was before is put back when nothing watches the descriptor any more
  and when the queue is closed, unless the number was closed first.
* Pipes, FIFOs, TCP and UDP sockets are told of, and the reading side of UNIX sockets.  Everything else is polled
  while a wait sleeps: eventfds, timers, queues and inotify know no such signals, terminals do not tell of a
  hang-up, and UNIX sockets not of the peer's shutdown(SHUT_RD), nor of room in a datagram's receiver.
* No signal tells of a shutdown(2) by the program itself, nor of data while another thread blocks in recv(2) on the
  socket (SOCKWQ_ASYNC_WAITDATA): what happens so while a wait sleeps, the next wait finds.
* It knows numbers only: the witness knows the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote import errors
from knote._kernel.rtsig import RtSignals
from knote.engines.listed import LEVELS, ListedEngine

if TYPE_CHECKING:
    from knote._kernel.watchset import WatchSet


class RtsigEngine(ListedEngine):
    """F_SETSIG.  Raises OSError (EMFILE, ENFILE, EAGAIN for want of a thread) when it cannot be made."""

    __slots__ = ()
    name = "rtsig"
    about = "real-time signals (F_SETSIG, O_ASYNC) tell which descriptors poll(2) is to look at"
    traits = LEVELS._replace(alters_files=True, late=True, misses=True)

    def _make(self) -> WatchSet:
        return RtSignals()

    def _cannot(self, number: int) -> OSError:
        return errors.creation(number, f"the wake descriptor or the thread of engine {self.name!r}")
