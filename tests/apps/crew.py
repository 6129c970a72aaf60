"""`knote serve --workers N`, as its tests look at it."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.apps.programs import Serving, ended, exactly, started
from tests.support.waiting import SOON, wait_until

LONG = 2 * SOON
"""Seconds within which an interpreter starts, on a machine that does much else."""


class Crew(Serving):
    """A master with its workers."""

    def __init__(self, process: subprocess.Popen[bytes], said: Path) -> None:
        super().__init__(process)
        self._said = said

    def said(self) -> str:
        """What stands on its stderr."""
        return self._said.read_text()

    def says(self, words: str, times: int = 1) -> str:
        """Wait until it has said so; all that it said."""
        try:
            wait_until(lambda: self.said().count(words) >= times, LONG)
        except AssertionError:
            raise AssertionError(f"it did not say {words!r}, but {self.said()!r}") from None
        return self.said()

    def workers(self) -> list[int]:
        """Process numbers of its children."""
        pid = self.process.pid
        try:
            return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        except OSError:
            return []

    def who(self) -> int:
        """Which worker answers a new connection, by the service `who`."""
        with self.client() as sock:
            sock.settimeout(LONG)
            sock.sendall(b"?")
            return int(exactly(sock, 10))

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return ended(self.process)


WHO = "import os\ndef who(data):\n    return b'%010d' % os.getpid()\n"
"""A service that answers with the number of its process."""


@contextmanager
def crew(tmp_path: Path, *words: str, code: str = WHO, service: str = "mine:who", **how: Any) -> Iterator[Crew]:
    """Workers of a service in mine.py."""
    (tmp_path / "mine.py").write_text(code)
    said = tmp_path / "said"
    with said.open("wb") as stderr, started(
        "serve", "--service", service, *words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, stderr=stderr,
        cwd=tmp_path, **how,
    ) as process:  # fmt: skip
        yield Crew(process, said)
