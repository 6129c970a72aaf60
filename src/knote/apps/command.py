"""A program in a terminal's place: it reads what comes, and what it writes goes."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType


class Command:
    """A line for the shell, run with a pipe on either side.  stdout: what it writes; stdin: what it reads."""

    def __init__(self, line: str) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(line, shell=True, stdin=pipe, stdout=pipe, bufsize=0)
        assert self._process.stdin is not None and self._process.stdout is not None
        self.stdin = self._process.stdin.fileno()
        self.stdout = self._process.stdout.fileno()

    def close_stdin(self) -> None:
        """No more comes for it."""
        assert self._process.stdin is not None
        self._process.stdin.close()

    def status(self) -> int:
        """As a shell has it, once it has ended."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def __enter__(self) -> Command:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_stdin()
        assert self._process.stdout is not None
        self._process.stdout.close()
        if kind is not None and self._process.poll() is None:
            self._process.terminate()
        self._process.wait()
