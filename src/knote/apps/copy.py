"""Files, one after the other, to one output and maybe to others besides."""

from __future__ import annotations

import errno
import os
import stat

from knote.apps.inlet import Inlet
from knote.apps.outlet import Outlet, file_name
from knote.apps.record import Record, Tally

TYPE_CHECKING = False  # see inlet.py
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from knote import kqueue
    from knote.apps.flow import Flow
    from knote.apps.meter import Meter

STDIN = "-"

_FIRST = 128 * 1024


def copy(
    names: Iterable[str | int],
    to: int = 1,
    *,
    engine: str | None = None,
    complain: Callable[[OSError], None],
    tee: Sequence[str] = (),
    limit: float | None = None,
    tally: Tally | None = None,
    attend: Callable[[kqueue], None] | None = None,
) -> bool:
    """Copy every file to the descriptor `to`, to its end, byte for byte.

    names: paths, descriptors, or '-' for standard input.  Descriptors stay open, and how they block is not
        changed, not even for a while.
    engine: as kqueue(engine=).
    complain: takes the error of an input or of a tee, with its name as filename; the copy goes on without it.
    tee: files that get the same bytes, each made or cut to nothing first; but for one that is an input.
    limit: bytes per second, above 0.
    tally: is kept up to date.
    attend: gets the queue once it is needed, to add knotes of its own; their udata is a Handler.
    Returns whether there was no complaint.
    Raises OSError when the output takes no more (EPIPE, ENOSPC, EIO), with the output's name as filename.
    """
    where = file_name(to)
    outlet = Outlet(to, f"standard output ({where})" if where.startswith("/") else "standard output")
    copier = _Copier(outlet, to, engine, complain, Tally() if tally is None else tally, attend)
    try:
        if tee:
            names = list(names)
            copier.open_tees(tee, names)
        copier.prepare(limit)
        for name in names:
            copier.copy(name)
    except BaseException:
        copier.close(quietly=True)
        raise
    copier.close()
    return copier.good


class _Copier:
    """What the files of one copy share.  The queue is made when there is something to wait for: a file that is at
    its end, which the first read tells, costs no more than cat(1) takes for it."""

    __slots__ = (
        "_alive", "_attend", "_complain", "_engine", "_meter", "_outlet", "_queue", "_tally", "_tees", "_to",
        "good",
    )  # fmt: skip

    def __init__(
        self,
        outlet: Outlet,
        to: int,
        engine: str | None,
        complain: Callable[[OSError], None],
        tally: Tally,
        attend: Callable[[kqueue], None] | None,
    ) -> None:
        self._outlet = outlet
        self._to = to
        self._engine = engine
        self._complain = complain
        self._tally = tally
        self._attend = attend
        self._queue: kqueue | None = None
        self._meter: Meter | None = None
        self._tees: list[tuple[int, Outlet]] = []
        self._alive: list[Outlet] = []
        self.good = True

    def prepare(self, limit: float | None) -> None:
        """What comes before the first byte."""
        if self._engine is not None:
            self._ready()
        if limit is not None:
            from knote.apps.meter import Meter

            self._meter = Meter(limit)

    def open_tees(self, tee: Sequence[str], names: Sequence[str | int]) -> None:
        """Each is there, and empty.  One that is an input, too, would lose what is to be copied: it is refused."""
        self._ready()
        inputs = [found for found in map(_status, names) if found is not None]
        for name in tee:
            try:
                found = _status(name)
                if found is not None and any(os.path.samestat(found, one) for one in inputs):
                    raise OSError(errno.EINVAL, "input file is output file")
                fd = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOCTTY, 0o666)
            except OSError as error:
                self._refuse(OSError(error.errno, error.strerror, name))
                continue
            outlet = Outlet(fd, name)
            self._tees.append((fd, outlet))
            self._alive.append(outlet)

    def _ready(self) -> kqueue:
        if self._queue is None:
            from knote import kqueue

            self._queue = kqueue(engine=self._engine)
            if self._attend is not None:
                self._attend(self._queue)
        return self._queue

    def copy(self, name: str | int) -> None:
        """One file.  Raises OSError when the output takes no more."""
        record = Record(_text(name))
        self._tally.records.append(record)
        try:
            self._open(name, record)
        except OSError as error:
            record.error = error
            if error.filename == self._outlet.name:
                raise
            self._refuse(error)
        finally:
            if not record.done:
                record.ends("")

    def _refuse(self, error: OSError) -> None:
        self.good = False
        self._complain(error)

    def _open(self, name: str | int, record: Record) -> None:
        if isinstance(name, int):
            self._read(name, record)
        elif name == STDIN:
            self._read(0, record)
        else:
            fd = os.open(name, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC | _unhurried(name))
            try:
                self._read(fd, record)
            finally:
                os.close(fd)

    def _read(self, fd: int, record: Record) -> None:
        inlet = Inlet(fd, record.name)
        try:
            _refuse_itself(fd, record.name, self._to)
            first = b""
            if inlet.kind == stat.S_IFREG:
                record.size = max(0, inlet.size - os.lseek(fd, 0, os.SEEK_CUR))
                if not record.size:
                    # At its end, or one of /proc.
                    first = _read(fd, record.name)
                    if not first:
                        return
                    record.size = None
            self._run(inlet, record, first)
        finally:
            inlet.close()

    def _run(self, inlet: Inlet, record: Record, first: bytes) -> None:
        from knote.apps.flow import run

        flow = self._flow(inlet, first)
        record.begins(lambda: flow.total)
        flow.start()
        try:
            run(self._ready(), flow)
        finally:
            record.ends(flow.way)
        if flow.write_error:
            raise flow.write_error
        if flow.read_error:
            raise flow.read_error

    def _flow(self, inlet: Inlet, first: bytes) -> Flow:
        queue = self._ready()
        if self._tees:
            from knote.apps.branch import Fork

            return Fork(queue, inlet, self._outlet, self._alive, self._refuse, meter=self._meter, first=first)
        from knote.apps.pump import Pump

        holes = None
        if self._outlet.kind == stat.S_IFREG and not self._outlet.appends:
            from knote.apps.holes import Holes, has

            if has(inlet.fd):
                holes = Holes(inlet.fd, self._outlet.fd)
        return Pump(queue, inlet, self._outlet, meter=self._meter, first=first, holes=holes)

    def close(self, *, quietly: bool = False) -> None:
        """The end.  Raises OSError when the output's file system tells only now that bytes are lost.  quietly:
        another error is on its way, and came first."""
        self._tally.ends()
        if self._queue is not None:
            self._queue.close()
        for fd, outlet in self._tees:
            try:
                outlet.close()
            except OSError as error:
                if not quietly and outlet in self._alive:
                    self._refuse(error)
            os.close(fd)
        try:
            self._outlet.close()
        except OSError:
            if not quietly:
                raise


def _read(fd: int, name: str) -> bytes:
    try:
        return os.read(fd, _FIRST)
    except OSError as error:
        raise OSError(error.errno, error.strerror, name) from None


def _text(name: str | int) -> str:
    return f"descriptor {name}" if isinstance(name, int) else name


def _status(name: str | int) -> os.stat_result | None:
    """Of a regular file with something in it."""
    try:
        found = os.stat(0 if name == STDIN else name)
    except OSError:
        return None  # who opens it says why
    return found if stat.S_ISREG(found.st_mode) and found.st_size else None


def _unhurried(name: str) -> int:
    """The flag for open(2) that keeps it from waiting for a FIFO's writer, which the queue does as well, and hears
    signals and timers meanwhile: a FIFO that nobody has opened to write yet is not at its end for poll(2).  For
    nothing else: who holds a lease on a file (fcntl(2)) must be waited for."""
    try:
        return os.O_NONBLOCK if stat.S_ISFIFO(os.stat(name).st_mode) else 0
    except OSError:
        return 0  # open(2) says it


def _refuse_itself(fd: int, name: str, to: int) -> None:
    """A file that grows by what is read from it never ends."""
    here, there = os.fstat(fd), os.fstat(to)
    if stat.S_ISREG(there.st_mode) and os.path.samestat(here, there):
        if os.lseek(fd, 0, os.SEEK_CUR) < here.st_size:
            raise OSError(errno.EINVAL, "input file is output file", name)
