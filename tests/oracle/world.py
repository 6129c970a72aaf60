"""The world of one replayed trace: names, descriptors, files, children, the queues under test.

Steps name descriptors; the world binds each name to the number it had last, also after close(),
since a trace may well ask about a number that is gone.  Numbers are handed out as on the recorded
machine, lowest first and without holes, so that a number which was closed is the next one reused.
"""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol

from tests.oracle import names

TMPFS: Final = "/dev/shm"  # tmpfs, as the recorded files were


class Queue(Protocol):
    """What the player needs of a kqueue."""

    @property
    def closed(self) -> bool:
        """close() was called."""

    def control(
        self, changelist: Any, maxevents: int, timeout: float | None = None, /
    ) -> Sequence[Any]:
        """Apply changes and collect."""

    def close(self) -> None:
        """Close."""

    def fileno(self) -> int:
        """Its descriptor."""


class Api(Protocol):
    """What is tried: knote on one engine, or a recording of the answers (test_player.py)."""

    def kqueue(self) -> Queue:
        """A new queue."""

    def fromfd(self, fd: int) -> Queue:
        """A queue object for a descriptor."""

    def kevent(
        self, ident: int, filter: int, flags: int, fflags: int, data: int, udata: Any
    ) -> Any:
        """A change."""


class World:
    """Names and what they stand for; a context manager that leaves nothing behind."""

    def __init__(self, api: Api) -> None:
        self.api: Final = api
        self.folder = ""
        self.numbers: dict[str, int] = {}
        self.queues: dict[str, Queue] = {}
        self.addresses: dict[str, tuple[str, int]] = {}
        self.pids: dict[str, int] = {"self": os.getpid()}
        self.awaited: set[int] = set()
        self._owned: set[int] = set()
        self._all_queues: list[Queue] = []
        self._plugs: list[int] = []

    def __enter__(self) -> World:
        base = TMPFS if os.access(TMPFS, os.W_OK) else None
        self.folder = tempfile.mkdtemp(prefix="knote-oracle-", dir=base)
        self._plug_holes()
        return self

    def __exit__(self, *_: object) -> None:
        for queue in self._all_queues:
            queue.close()
        for fd in self._owned:
            os.close(fd)
        for fd in self._plugs:
            os.close(fd)
        for pid in self.children():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        shutil.rmtree(self.folder)

    def _plug_holes(self) -> None:
        """Occupy the free numbers below the highest one in use: see the module's docstring."""
        top = max(int(name) for name in os.listdir("/proc/self/fd"))
        while (fd := os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)) < top:
            self._plugs.append(fd)
        os.close(fd)

    # -- descriptors -------------------------------------------------------------------------------

    def own(self, name: str, fd: int) -> None:
        """*name* now stands for *fd*, which is ours to close."""
        self.numbers.pop(name, None)  # the latest name of a number comes last
        self.numbers[name] = fd
        self.queues.pop(name, None)
        self._owned.add(fd)

    def own_queue(self, name: str, queue: Queue) -> None:
        """*name* now stands for *queue* and its descriptor."""
        self.numbers.pop(name, None)
        self.numbers[name] = queue.fileno()
        self.queues[name] = queue
        self._all_queues.append(queue)

    def fd(self, name: str | int) -> int:
        """The number behind a name; a number is itself."""
        return name if isinstance(name, int) else self.numbers[name]

    def close(self, name: str) -> None:
        """close(2), through the object where it is a queue."""
        if name in self.queues:
            self.queues[name].close()
            return
        fd = self.fd(name)
        os.close(fd)
        self._owned.discard(fd)

    def is_owned(self, fd: int) -> bool:
        """The number is open as a descriptor of the trace (and not as a queue)."""
        return fd in self._owned

    @contextmanager
    def queue(self, name: str | int) -> Iterator[Queue]:
        """The queue that a kevent step names.

        What is no queue is asked through a dup, since an object made by fromfd() closes its
        descriptor when it goes (S-294).
        """
        if isinstance(name, str) and name in self.queues:
            yield self.queues[name]
            return
        fd = os.dup(self.fd(name))
        try:
            queue = self.api.fromfd(fd)
        except BaseException:
            os.close(fd)
            raise
        try:
            yield queue
        finally:
            queue.close()

    def path(self, path: str) -> str:
        """A path of the trace: relative ones live in our own folder."""
        return os.path.join(self.folder, path)

    def pid(self, name: str | int) -> int:
        """The process behind a name."""
        return name if isinstance(name, int) else self.pids[name]

    def children(self) -> list[int]:
        """Children of the trace that nobody has waited for yet."""
        return [
            pid for name, pid in self.pids.items() if name != "self" and pid not in self.awaited
        ]

    # -- idents ------------------------------------------------------------------------------------

    def ident(self, flt: str | int, word: str | int) -> int:
        """What *word* means in a change with filter *flt*, as the number that kevent wants."""
        if isinstance(word, int):
            return word % 2**64
        if flt == "EVFILT_PROC":
            return self.pids[word]
        if flt == "EVFILT_SIGNAL":
            return names.signal_number(word)
        return self.numbers[word]

    def symbol(self, flt: str | int, number: int, hint: str | None) -> str:
        """The trace's word for a returned ident; of several names of one number, *hint*."""
        if flt == "EVFILT_SIGNAL":
            return names.signal_name(number)
        table = (
            self.pids if flt == "EVFILT_PROC" else self.numbers if flt in names.FD_FILTERS else {}
        )
        known = [name for name, value in table.items() if value == number]
        if hint in known:
            return str(hint)
        return known[-1] if known and hint != str(number) else str(number)
