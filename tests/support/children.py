"""Child processes that do one thing when they are told to, and end."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from tests.support.waiting import wait_until

_CRASHED: Final = 70


class Child:
    """A forked child: it waits until told, does its work, ends with a code; reaped at the latest by close()."""

    def __init__(self, code: int = 0, work: Callable[[], object] | None = None) -> None:
        listen, self._tell = os.pipe()
        self.pid = os.fork()
        self._reaped = False
        if self.pid:
            os.close(listen)
            return
        os.close(self._tell)
        try:
            os.read(listen, 1)
            if work is not None:
                work()
            os._exit(code)
        finally:
            os._exit(_CRASHED)  # it must never come back into the test runner

    def go(self) -> None:
        """Let it do its work and end."""
        if self._tell >= 0:
            with suppress(BrokenPipeError):  # it was killed
                os.write(self._tell, b"x")  # closing says nothing while later children hold a copy
            os.close(self._tell)
            self._tell = -1

    def end(self) -> None:
        """Let it end, and return when it is a zombie."""
        self.go()
        wait_until(self.is_zombie)

    def is_zombie(self) -> bool:
        """It has ended and was not waited for."""
        with open(f"/proc/{self.pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] == "Z"

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send it a signal."""
        os.kill(self.pid, number)

    def reap(self) -> int:
        """Wait for it; the status."""
        self.go()
        self._reaped = True
        return os.waitpid(self.pid, 0)[1]

    def close(self) -> None:
        """Idempotent."""
        self.go()
        if not self._reaped:
            self._reaped = True
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)


class Orphan:
    """A process that is not our child any more: it waits until told, and ends with a code."""

    def __init__(self, code: int = 0) -> None:
        listen, self._tell = os.pipe()
        told, tell_pid = os.pipe()
        middle = os.fork()
        if not middle:
            try:
                pid = os.fork()
                if pid:
                    os.write(tell_pid, b"%d" % pid)
                    os._exit(0)
                os.read(listen, 1)
                os._exit(code)
            finally:
                os._exit(_CRASHED)
        os.waitpid(middle, 0)
        os.close(listen)
        os.close(tell_pid)
        self.pid = int(os.read(told, 32))
        os.close(told)

    def go(self) -> None:
        """Let it end; once."""
        os.write(self._tell, b"x")
        os.close(self._tell)
