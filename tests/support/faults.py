"""System calls that fail when a test says so, once or as often as it says, and then work again.

A seccomp filter (SECCOMP_RET_USER_NOTIF, Linux 5.5) in a forked child asks this process about each of the calls
that a test is about, and it answers: go on, or fail with this errno.  Nothing need be installed, an answer takes
some 10 microseconds, and a child can be made to meet hundreds of failures one after the other.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import platform
import random
import select
import socket
import struct
import threading
import traceback
from collections.abc import Callable, Iterable
from functools import cache
from typing import Final

from tests.support import kernelcalls, seccomp

_SECCOMP: Final = {"x86_64": 317, "aarch64": 277}
_SET_MODE_FILTER, _NEW_LISTENER, _USER_NOTIF = 1, 1 << 3, 0x7FC00000
_RECEIVE, _SEND, _FLAGS, _CONTINUE = 0xC0502100, 0xC0182101, 0x40082104, 1
_ASK, _ANSWER = struct.Struct("QIIiIQ6Q"), struct.Struct("QqiI")
_ROOM = 4096
_PATIENCE_MS = 60_000
_ONE_IN = 8

_ARMED, _NTH, _ERROR, _COUNT, _MET, _HITS, _NUMBER, _SEED, _TRACE = range(9)


class Faults:
    """The child's handle: what is to fail, and what was called."""

    def __init__(self) -> None:
        self._memory = memoryview(mmap.mmap(-1, 8 * (_TRACE + _ROOM))).cast("q")

    def arm(self, error: int = 0, *, nth: int = -1, number: int = -1, seed: int = 0) -> None:
        """From here on calls of the main thread are noted.  Of those with this number the nth fails (from 0), or
        each.  Other calls do not count: how many go before can differ from one performance to the next, and the
        failure would meet another call, for which it may be an answer.

        With a seed it is one call in eight, in one way or another."""
        self._memory[_NTH], self._memory[_ERROR], self._memory[_NUMBER] = nth, error, number
        self._memory[_SEED] = seed
        self._memory[_COUNT] = self._memory[_MET] = self._memory[_HITS] = 0
        self._memory[_ARMED] = 1

    def disarm(self) -> list[int]:
        """Nothing fails any more; the numbers of the calls that were made."""
        self._memory[_ARMED] = 0
        return list(self._memory[_TRACE : _TRACE + min(self._memory[_COUNT], _ROOM)])

    @property
    def hits(self) -> int:
        """How many calls failed since arm()."""
        return self._memory[_HITS]

    def answer(self, number: int, main: bool) -> int:
        """The supervisor's: the errno for this call, or 0."""
        memory = self._memory
        if not main or not memory[_ARMED]:
            return 0
        place = memory[_COUNT]
        memory[_COUNT] = place + 1
        if place < _ROOM:
            memory[_TRACE + place] = number
        if memory[_SEED]:
            dice = random.Random(memory[_SEED] << 32 | place)
            if dice.randrange(_ONE_IN):
                return 0
            memory[_HITS] += 1
            return dice.choice(kernelcalls.errors(number))
        if number != memory[_NUMBER]:
            return 0
        nth = memory[_MET]
        memory[_MET] = nth + 1
        if memory[_NTH] not in (nth, -1):
            return 0
        memory[_HITS] += 1
        return memory[_ERROR]


def _listen(numbers: Iterable[int]) -> int:
    """Put this thread under the filter: the descriptor that asks; OSError."""
    program = seccomp.program(tuple(numbers), _USER_NOTIF)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
    fd: int = libc.syscall(_SECCOMP[platform.machine()], _SET_MODE_FILTER, _NEW_LISTENER, ctypes.byref(program))
    if fd < 0:
        raise OSError(ctypes.get_errno(), "seccomp(2) with SECCOMP_FILTER_FLAG_NEW_LISTENER")
    return fd


def _supervise(listener: int, faults: Faults, main: int) -> set[tuple[int, int]]:
    """Answer until the child has ended; which calls were made to fail, and how."""
    failed = set()
    try:
        # Asked and asker take turns: on one core (Linux 6.6).
        fcntl.ioctl(listener, _FLAGS, 1)
    except OSError:
        pass
    poller = select.poll()
    poller.register(listener, select.POLLIN)
    while True:
        ready = poller.poll(_PATIENCE_MS)
        assert ready, f"the child made no system call for {_PATIENCE_MS} ms"
        if not ready[0][1] & select.POLLIN:
            return failed
        asked = bytearray(_ASK.size)
        try:
            fcntl.ioctl(listener, _RECEIVE, asked)
            name, thread, _, number, *_ = _ASK.unpack(asked)
            error = faults.answer(number, thread == main)
            if error:
                failed.add((number, error))
            fcntl.ioctl(listener, _SEND, _ANSWER.pack(name, 0, -error, 0 if error else _CONTINUE))
        except OSError as gone:
            if gone.errno != errno.ENOENT:  # it was killed, or got a signal meanwhile
                raise


def play(body: Callable[[Faults], object], numbers: Iterable[int]) -> set[tuple[int, int]]:
    """Run body in a forked child, of which each of these calls is asked about: which failed, as (number, errno).
    AssertionError with what the child said if it ended otherwise than well."""
    faults = Faults()
    ours, theirs = socket.socketpair()
    said = os.memfd_create("said")
    pid = os.fork()
    if pid == 0:
        _child(body, numbers, faults, theirs, said)
    theirs.close()
    try:
        with ours:
            _, fds, _, _ = socket.recv_fds(ours, 1, 1)
        failed = set()
        for listener in fds:
            try:
                failed = _supervise(listener, faults, pid)
            finally:
                os.close(listener)
        _, status = os.waitpid(pid, 0)
        pid = 0
        if status:
            raise AssertionError(f"status {status}: {os.pread(said, 1 << 16, 0).decode()}")
        return failed
    finally:
        os.close(said)
        if pid:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def _child(
    body: Callable[[Faults], object], numbers: Iterable[int], faults: Faults, to: socket.socket, said: int
) -> None:
    # A thread that was there before is not under the filter, and can hand the descriptor over.
    status = 1
    try:
        listener: list[int] = []
        over = threading.Lock()
        over.acquire()

        def hand_over() -> None:
            over.acquire()
            socket.send_fds(to, [b"x"], listener)

        helper = threading.Thread(target=hand_over)
        helper.start()
        try:
            listener.append(_listen(numbers))
        finally:
            over.release()
            helper.join()
        to.close()
        os.close(listener[0])
        body(faults)
        status = 0
    except BaseException:
        os.write(said, traceback.format_exc().encode())
    finally:
        os._exit(status)


@cache
def refusal() -> str:
    """Why this kernel or sandbox does not let calls be made to fail this way; "" if it does."""
    if platform.machine() not in _SECCOMP:
        return f"no table of system calls for {platform.machine()}"
    try:
        play(lambda _faults: None, (0,))
    except (AssertionError, OSError) as error:
        return str(error).strip().rpartition("\n")[2]
    return ""
