"""What does a read of 4 KiB at a random place of a file cost, many at a time?

By hand, that is os.preadv() into buffers that are there already, one after the other; beside it threads, aiofiles
and the packages for io_uring, where they are installed.  64 reads are under way at a time, from the page cache and
past it; once by the clock on the wall, once by the processor time of the process, which that does not tell: a pool
of threads can be as fast as a ring and cost three times as much.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Iterator
from time import perf_counter_ns, process_time_ns

from bench import readers
from bench.model import Case, Loop, Ratio, Row, Settings

WHAT = f"4 KiB at random places, {readers.DEPTH} at a time"


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """From the page cache, and past it."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.NamedTemporaryFile(dir=os.curdir))
        file.write(os.urandom(readers.BLOCK * readers.BLOCKS))
        os.fsync(file.fileno())
        buffer = memoryview(mmap.mmap(-1, readers.BLOCK * readers.DEPTH))
        made: list[Row] = []
        for name, flags in (("page cache", 0), ("O_DIRECT", os.O_DIRECT)):
            fd = os.open(file.name, os.O_RDONLY | flags)
            stack.callback(os.close, fd)
            for clock, words in ((perf_counter_ns, "time"), (process_time_ns, "processor time")):
                place = readers.File(file.name, fd, buffer, clock, flags != 0)
                absent: list[str] = []
                ours = Loop("knote.aio", readers.with_aio(place, stack))
                beside = [Loop("knote.aio, lists", readers.with_listio(place, stack))]
                beside += [Loop(other, run) for other, run in readers.others(place, stack, absent)]
                peer = Loop("os.preadv", readers.with_preadv(place, stack))
                row = f"{WHAT}, {name}, {words}"
                # The device's reads are ended by kernel threads, which need a turn, too.
                realtime = not flags
                made.append(Ratio(row, ours, peer, 1.0, "read", beside, realtime=realtime, absent=absent))
                for slow in (other for other in beside if other.name == "aiofiles"):
                    made.append(Ratio(f"{row}, beside aiofiles", ours, slow, 0.33, "read", realtime=realtime))
        yield made


CASE = Case("aio", "What does a read of 4 KiB cost, many at a time?", rows)
