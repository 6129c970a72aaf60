# cython: annotation_typing=False
"""io_uring(7): one ring of a queue, for whoever hands the kernel requests instead of system calls.

Nothing here happens at import or when a queue is made.  A ring is opened at the first use of something that needs
one, never under a seccomp filter unless asked for, and it has no kernel thread (no IORING_SETUP_SQPOLL).

What else was tried of its set-up flags, with 64 reads of 4 KiB under way: COOP_TASKRUN, and SINGLE_ISSUER with
DEFER_TASKRUN, gain nothing that could be measured, from the page cache or from the device.  The first delays
completions while the submitting thread computes, the second binds the ring to one thread; so neither is set.
"""

from __future__ import annotations

import errno
import os

from knote import errors
from knote._kernel.uring import Uring, why_not_here

SUBMISSIONS = 256
"""Prepared between two submissions; more are submitted on the way."""
COMPLETIONS = 4096
"""Before they overflow into memory that the kernel allocates one by one, 64 KB."""

ONE_THREAD = 1 << 9 | 1 << 12 | 1 << 13
"""IORING_SETUP_TASKRUN_FLAG, _SINGLE_ISSUER and _DEFER_TASKRUN (Linux 6.1): for a ring of which one thread makes
every call, and whose completions are made when it asks for them.  Without the flag a call that does not wait would
not know that there is something to ask for."""

OP_FSYNC = 3
OP_POLL_ADD = 6
OP_SENDMSG = 9
OP_RECVMSG = 10
OP_ACCEPT = 13
OP_ASYNC_CANCEL = 14
OP_CONNECT = 16
OP_READ = 22
OP_WRITE = 23
OP_SEND = 26
OP_RECV = 27
FSYNC_DATASYNC = 1

_SETUP_SUBMIT_ALL = 1 << 7
_MOST = 256
_NEEDED = (
    OP_FSYNC, OP_POLL_ADD, OP_SENDMSG, OP_RECVMSG, OP_ACCEPT, OP_ASYNC_CANCEL, OP_CONNECT, OP_READ, OP_WRITE,
    OP_SEND, OP_RECV,
)  # fmt: skip
_EINTR = errno.EINTR
_EAGAIN = errno.EAGAIN
_EBUSY = errno.EBUSY


class Ring:
    """Submissions and completions, as integers: an operation goes in with a token, its result comes out with it.

    submissions, completions: how many have room, powers of two.  setup: more IORING_SETUP_*; those that the kernel
        does not know are left away.
    Raises OSError with the reason when the kernel gives none.  It is for one queue, under whose lock every call
    is made.
    """

    __slots__ = ("_entries", "_uring", "fd")

    def __init__(self, submissions: int = SUBMISSIONS, completions: int = COMPLETIONS, setup: int = 0) -> None:
        # SUBMIT_ALL: an entry that is refused does not stop those behind it; where that is missing (before 5.18)
        # submit() goes on behind it.
        self._uring = Uring(submissions, completions, _SETUP_SUBMIT_ALL | setup)
        self._entries = submissions
        self.fd = self._uring.fd
        """Polls readable while there are completions."""
        if self.fd < 0:
            raise errors.no_ring(-self.fd)
        for op in _NEEDED:
            known = self._uring.knows(op)
            if known < 0:
                self._uring.close()
                raise errors.os_error(-known, "io_uring_register(2), asked which operations this kernel has")
            if known == 0:
                self._uring.close()
                raise errors.os_error(errno.ENOSYS, f"this kernel's io_uring lacks operation {op}")

    def home(self) -> Uring:
        """The queues themselves, for operations that take more than prepare() does."""
        return self._uring

    def prepare(self, op: int, fd: int, addr: int, size: int, offset: int, flags: int, token: int) -> int:
        """Write down one operation: an OP_*, and what its system call takes.  0, or -errno: the queue is full and
        the kernel takes nothing at the moment."""
        rc = self._uring.prepare(op, fd, addr, size, offset, flags, token)
        if rc == 0:
            return 0
        rc = self.submit()
        if rc < 0:
            return rc
        return self._uring.prepare(op, fd, addr, size, offset, flags, token)

    def at_once(self) -> int:
        """Carry out the first of what was prepared, as far as they are reads that need not wait for a device: how
        many, 256 at most, with token() and result() as after reap().  What is left is for submit()."""
        return self._uring.at_once()

    def submit(self) -> int:
        """Hand over all that was prepared: 0, or -errno and what is left stays prepared.  EBUSY and EAGAIN: the
        kernel has no memory, or completions are to be reaped first."""
        while True:
            rc = self._uring.submit(0)
            if rc == -_EINTR:
                continue
            if rc < 0:
                return rc
            if self._uring.room() == self._entries:
                return 0
            if rc == 0:
                return -_EAGAIN

    def wait(self) -> int:
        """Block until something is completed; 0 or -errno.  EINTR is given back."""
        rc = self._uring.submit(1)
        return rc if rc < 0 else 0

    def retract(self) -> int:
        """Take back what is prepared and was not taken: how many, the last ones, with token() as after reap()."""
        return self._uring.retract()

    def reap(self) -> int:
        """Take completions out: how many, 256 at most; 0 when there are none.  No system call, unless so many came
        that the kernel had to keep some back."""
        n = self._uring.reap(_MOST)
        if n == 0 and self._uring.overflowed():
            self._uring.submit(0)
            n = self._uring.reap(_MOST)
        return n

    def token(self, i: int) -> int:
        """The i-th completion's token."""
        return self._uring.token(i)

    def result(self, i: int) -> int:
        """Its result: what the system call would have given, or -errno."""
        return self._uring.result(i)

    def close(self) -> None:
        """Unmap and close; idempotent.  Memory of operations under way is still written to: cancel and reap them
        first, or, in a forked child, leave them to the parent."""
        self._uring.close()
        self.fd = -1


def why_not() -> str:
    """Why no ring is to be opened, without asking the kernel for one; '' if there is no reason.

    $KNOTE_IO_URING decides, 0 or 1.  Without it not under a seccomp filter: one that kills whoever calls
    io_uring_setup(2) cannot be told from one that says EPERM."""
    wish = os.environ.get("KNOTE_IO_URING", "")
    if wish == "0":
        return "KNOTE_IO_URING=0"
    here: str = why_not_here()
    if here or wish == "1":
        return here
    return "under a seccomp filter, which may kill for it (KNOTE_IO_URING=1 tries it)" if _is_filtered() else ""


def refusal() -> str:
    """Why no ring is to be had, having asked the kernel for one if nothing speaks against asking; '' if one is."""
    why = why_not()
    if why:
        return why
    made = Uring(1, 1, 0)
    if made.fd < 0:
        limits = (-errno.EMFILE, -errno.ENFILE, -errno.ENOMEM)
        return "" if made.fd in limits else str(errors.no_ring(-made.fd))
    made.close()
    return ""


def is_wanted() -> bool:
    """Whether $KNOTE_IO_URING asks for rings: then there is no second choice."""
    return os.environ.get("KNOTE_IO_URING", "") == "1"


def _is_filtered() -> bool:
    try:
        with open("/proc/self/status") as status:
            for line in status:
                if line.startswith("Seccomp:"):
                    return line.split()[1] == "2"
    except OSError as error:
        # No descriptor left for the question is none for a ring, which then says so better.  No /proc, as in some
        # sandboxes: a filter is likely.
        return error.errno not in (errno.EMFILE, errno.ENFILE)
    return False
