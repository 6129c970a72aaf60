"""Files, one after the other, to one output."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable

from knote import kqueue
from knote.apps.flow import Flow, run
from knote.apps.inlet import Inlet
from knote.apps.outlet import Outlet, file_name

STDIN = "-"


def copy(
    names: Iterable[str | int],
    to: int = 1,
    *,
    engine: str | None = None,
    complain: Callable[[OSError], None],
) -> bool:
    """Copy every file to the descriptor `to`, to its end, byte for byte.

    names: paths, descriptors, or '-' for standard input.  Descriptors stay open, and how they block is not
        changed, not even for a while.
    engine: as kqueue(engine=).
    complain: takes the error of an input, with its name as filename; the copy goes on with the next one.
    Returns whether there was none.
    Raises OSError when the output takes no more (EPIPE, ENOSPC, EIO), with the output's name as filename.
    """
    where = file_name(to)
    outlet = Outlet(to, f"standard output ({where})" if where.startswith("/") else "standard output")
    good = True
    try:
        with kqueue(engine=engine) as queue:
            for name in names:
                try:
                    _copy_one(queue, name, outlet, to)
                except OSError as error:
                    if error.filename == outlet.name:
                        raise
                    complain(error)
                    good = False
    except BaseException:
        _close_quietly(outlet)
        raise
    outlet.close()
    return good


def _close_quietly(outlet: Outlet) -> None:
    try:
        outlet.close()
    except OSError:
        pass  # another error is on its way, and came first


def _copy_one(queue: kqueue, name: str | int, outlet: Outlet, to: int) -> None:
    if isinstance(name, int):
        fd, text, opened = name, f"descriptor {name}", False
    elif name == STDIN:
        fd, text, opened = 0, STDIN, False
    else:
        # Blocking: a FIFO's end of file can only be told after somebody has opened it to write.
        fd, text, opened = os.open(name, os.O_RDONLY | os.O_NOCTTY | os.O_CLOEXEC), name, True
    try:
        inlet = Inlet(fd, text)
        try:
            _refuse_itself(fd, text, to)
            flow = Flow(queue, inlet, outlet)
            flow.start()
            run(queue, flow)
        finally:
            inlet.close()
    finally:
        if opened:
            os.close(fd)
    if flow.write_error:
        raise flow.write_error
    if flow.read_error:
        raise flow.read_error


def _refuse_itself(fd: int, name: str, to: int) -> None:
    """A file that grows by what is read from it never ends."""
    here, there = os.fstat(fd), os.fstat(to)
    if stat.S_ISREG(there.st_mode) and os.path.samestat(here, there):
        if os.lseek(fd, 0, os.SEEK_CUR) < here.st_size:
            raise OSError(errno.EINVAL, "input file is output file", name)
