"""The system calls of knote's kernel room: the one list, which tests/engines/test_faults.py holds to the room.

A row has the numbers of the call, or of those of which the C library makes one, on x86-64 and on aarch64.  A row
with a reason is not made to fail.
"""

from __future__ import annotations

import errno
import os
from functools import cache
from typing import Final, NamedTuple


class Call(NamedTuple):
    """What one function of the kernel room's asks the kernel by."""

    x86_64: tuple[int, ...]
    aarch64: tuple[int, ...]
    left: str = ""
    """Why it is not made to fail."""

    @property
    def numbers(self) -> tuple[int, ...]:
        """On this machine."""
        numbers: tuple[int, ...] = getattr(self, os.uname().machine)
        return numbers


OWN_THREAD: Final = "made by a thread of the set's own alone"

CALLS: Final[dict[str, Call]] = {
    "accept4": Call((288,), (242,)),
    "bind": Call((49,), (200,)),
    "clock_gettime": Call((228,), (113,), "it is the vDSO's, and no system call"),
    "close": Call((3,), (57,), "whatever it says the number is free (close(2)): one that is made up leaks it"),
    "epoll_create1": Call((291,), (20,)),
    "epoll_ctl": Call((233,), (21,)),
    "epoll_pwait2": Call((441,), (441,)),
    "epoll_wait": Call((232, 281), (22,)),
    "eventfd": Call((290,), (19,)),
    "fcntl": Call((72,), (25,)),
    "fstat": Call((5, 262), (80, 79)),
    "fstatfs": Call((138,), (44,)),
    "futex": Call((202,), (98,), "what it says is not looked at: the lock's own word is, again (kn_lock.h)"),
    "geteuid": Call((107,), (175,), "always successful (getuid(2))"),
    "getpid": Call((39,), (172,), "always successful (getpid(2))"),
    "gettid": Call((186,), (178,), "always successful (gettid(2))"),
    "getrlimit": Call((97, 302), (163, 261)),
    "getsockname": Call((51,), (204,)),
    "getsockopt": Call((55,), (209,)),
    "inotify_add_watch": Call((254,), (27,)),
    "inotify_init1": Call((294,), (26,)),
    "inotify_rm_watch": Call((255,), (28,)),
    "io_cancel": Call((210,), (3,)),
    "io_destroy": Call((207,), (1,), "what it does not give back, the end of the process does"),
    "io_getevents": Call((208, 333), (4, 292)),
    "io_setup": Call((206,), (0,), "contexts are kept for the next queue; see tests/engines/test_refusals.py"),
    "io_submit": Call((209,), (2,)),
    "io_uring_enter": Call((426,), (426,)),
    "io_uring_register": Call((427,), (427,)),
    "io_uring_setup": Call((425,), (425,)),
    "ioctl": Call((16,), (29,)),
    "isatty": Call((16,), (29,)),
    "lseek": Call((8,), (62,)),
    "madvise": Call((28,), (233,), "an advice, on which nothing depends"),
    "mmap": Call((9,), (222,)),
    "mq_getsetattr": Call((245,), (185,)),
    "munmap": Call((11,), (215,), "what cannot be unmapped stays mapped, and there is nothing that could be done"),
    "name_to_handle_at": Call((303,), (264,)),
    "nanosleep": Call((35, 230), (101, 115), "a pause, which may be shorter"),
    "open": Call((2, 257), (56,)),
    "pidfd_open": Call((434,), (434,)),
    "poll": Call((7,), (73,)),
    "ppoll": Call((271,), (73,)),
    "pread": Call((17,), (67,)),
    "preadv2": Call((327,), (286,)),
    "pselect": Call((270,), (72,)),
    "pthread_sigmask": Call((14,), (135,), "it fails for arguments that knote does not give (pthread_sigmask(3))"),
    "raise": Call((234,), (131,), "its signal is one that was just delivered"),
    "read": Call((0,), (63,)),
    "readlink": Call((89, 267), (78,)),
    "recv": Call((45,), (207,)),
    "recvmmsg": Call((299,), (243,)),
    "recvmsg": Call((47,), (212,)),
    "rt_sigqueueinfo": Call((129,), (138,), OWN_THREAD),
    "sched_yield": Call((24,), (124,), "always successful (sched_yield(2))"),
    "select": Call((23, 270), (72,)),
    "send": Call((44,), (206,)),
    "sendmsg": Call((46,), (211,)),
    "sendto": Call((44,), (206,)),
    "setsockopt": Call((54,), (208,)),
    "shutdown": Call((48,), (210,)),
    "sigaction": Call((13,), (134,)),
    "signalfd4": Call((289,), (74,)),
    "sigpending": Call((127,), (136,)),
    "sigwaitinfo": Call((128,), (137,), OWN_THREAD),
    "socket": Call((41,), (198,)),
    "stat": Call((4, 262), (79,)),
    "statx": Call((332,), (291,), "asked where a file system has no handles; what is not told is not compared"),
    "timerfd_create": Call((283,), (85,)),
    "timerfd_gettime": Call((287,), (87,)),
    "timerfd_settime": Call((286,), (86,)),
    "waitid": Call((247,), (95,)),
    "write": Call((1,), (64,)),
}  # fmt: skip

ERRORS: Final = (errno.EINTR, errno.ENOMEM, errno.EAGAIN, errno.EPERM, errno.ENOSYS)
"""What each of them is made to fail with."""

MEANS: Final[dict[tuple[str, int], str]] = {
    ("epoll_ctl", errno.EPERM): "this kind of file has nothing to wait for, and is always ready",
    ("write", errno.EAGAIN): "an eventfd that counts no higher: it is raised, as was asked",
    ("read", errno.EAGAIN): "an eventfd that is down, an inotify queue that is empty: as was asked",
    ("recv", errno.EAGAIN): "nothing has come",
    ("recvmsg", errno.EAGAIN): "nothing has come",
    ("recvmmsg", errno.EAGAIN): "nothing has come",
}
"""Failures that are answers, which knote must believe; so they are not made up."""


def numbers() -> tuple[int, ...]:
    """Of all calls that are made to fail, each once."""
    return tuple(sorted({number for call in CALLS.values() if not call.left for number in call.numbers}))


def of(*names: str) -> tuple[int, ...]:
    """Of these calls."""
    return tuple(sorted({number for name in names for number in CALLS[name].numbers}))


@cache
def name(number: int) -> str:
    """The first call with this number."""
    return next(name for name, call in CALLS.items() if number in call.numbers)


def errors(number: int) -> list[int]:
    """With what a call of this number can be made to fail."""
    return [error for error in ERRORS if (name(number), error) not in MEANS]
