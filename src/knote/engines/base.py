# cython: annotation_typing=False
"""What an engine is: something that knows descriptors and masks, never knotes."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from knote._kernel.batch import Batch
    from knote._kernel.fd import Counts


class Traits(NamedTuple):
    """What a mechanism can do; the queue asks these, never a name."""

    edge: bool
    """Reports a change once (EDGE in the mask)."""
    level: bool
    """Reports a state as long as it lasts."""
    oneshot: bool
    """Reports once and disarms (ONCE in the mask)."""
    batches_changes: bool
    """flush() takes fewer system calls than there are changes."""
    sees_close: bool
    """A closed descriptor leaves by itself."""
    pollable: bool
    """fileno() polls readable while something is to be reported."""
    max_fd: int
    """The first number that it cannot watch; 0: no such limit."""
    resolution_ns: int
    """How finely a wait is timed."""
    needs_compiled: bool
    """Is not there in the interpreted build."""
    ordered: bool = True
    """Reports in the order in which it became true."""
    holds_files: bool = False
    """Keeps a descriptor's file open after it was closed: its peer does not see the close."""
    single_thread: bool = False
    """Only the thread that made the queue gets what the mechanism is for."""
    alters_files: bool = False
    """Changes flags of the program's descriptors, which everybody sees who has them open."""
    by_number: bool = False
    """Knows numbers, and not what file each was when it was watched: at each event its number is asked."""
    late: bool = False
    """Is told of some things by another thread, the kernel's or its own, a little after they became true."""
    misses: bool = False
    """Is not told of all that poll(2) reports: what is true is asked before it sleeps."""

    @property
    def surprise(self) -> str:
        """Why a program must ask for it by name, in words; "" for what can be chosen by itself."""
        if self.holds_files:
            return "keeps files open that the program has closed"
        if self.single_thread:
            return "serves one thread"
        if self.alters_files:
            return "changes flags of the program's own descriptors"
        return "" if self.edge else "looks at every descriptor at each wait"


class Engine:
    """A readiness mechanism of the OS.

    Every call gives n or -errno and raises nothing (but MemoryError): all but wait() runs under the queue's lock.
    Threads: wait() from any number at once, each with a batch of its own; the rest under the queue's lock.
    """

    __slots__ = ("number",)
    name = ""
    about = ""
    """The mechanism, in a few words."""
    traits = Traits(False, False, False, False, False, False, 0, 0, False)

    def __init__(self) -> None:
        self.number = -1
        """The descriptor that polls readable while there is something to report; -1 once closed."""

    @staticmethod
    def refusal() -> str:
        """Why this kernel or sandbox does not allow it; "" if it does.  Not a limit that is reached: what cannot
        be made just now says so when it is made."""
        return ""

    def watch(self, fd: int, old: int, new: int, token: int) -> int:
        """Make the kernel's interest in fd new, which was old; 0 is none.  With old == new the state of fd is
        reported afresh.  0, or -errno: EBADF and ENOENT say that the number is closed or another file's,
        EPERM that this kind of file cannot be watched."""
        raise NotImplementedError

    def holds(self, fd: int) -> bool:
        """Whether an interest that was registered for this number is still that of the file that it means now.
        Reports nothing afresh."""
        raise NotImplementedError

    def forget(self, fd: int, token: int) -> None:
        """The number is closed or another file's by now, which no change of it has told: what the mechanism still
        asks of it under this token, it asks no more."""

    def stage(self, fd: int, old: int, new: int, token: int) -> int:
        """As watch(), but done by the next flush()."""
        raise NotImplementedError

    def flush(self) -> int:
        """Make what was staged, in order, until something fails: how many were made.  What failed and what came
        after it is not made and not staged any more."""
        raise NotImplementedError

    def wait(self, batch: Batch, capacity: int, deadline_ns: int) -> int:
        """Wait until deadline_ns of CLOCK_MONOTONIC (0: not at all, -1: for ever) and fill at most capacity
        pairs.  How many, or -errno; -EINTR when a signal came.  The only call that blocks; no lock is held."""
        raise NotImplementedError

    def fetch(self, counts: Counts) -> int:
        """Count the bytes that counts asks for, the fastest way that this mechanism has."""
        return counts.fetch()

    def rebuild(self) -> int:
        """Forget every registration, keeping the number.  0, or -errno."""
        raise NotImplementedError

    def close(self) -> None:
        """Give everything back.  Idempotent."""
        raise NotImplementedError

    def fileno(self) -> int:
        """number."""
        return self.number
