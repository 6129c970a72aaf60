"""What does a read of 4 KiB at a random place of a file cost, many at a time?

By hand, that is os.preadv() into a buffer that is there already, one after the other; beside it the same from a
pool of threads, and aiofiles where it is installed.  64 reads are under way at a time; a request whose event was
collected is submitted again, all that were collected at once by one call.
"""

from __future__ import annotations

import asyncio
import contextlib
import mmap
import os
import random
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter_ns

from bench.model import Case, Contender, Loop, Ratio, Row, Settings
from knote import aio, kqueue

BLOCK = 4096
BLOCKS = 16384
DEPTH = 64


def with_preadv(fd: int, buffer: memoryview) -> Callable[[int], int]:
    """One read after the other."""

    def run(turns: int) -> int:
        places = [random.randrange(BLOCKS) * BLOCK for _ in range(turns)]
        room = (buffer[:BLOCK],)
        start = perf_counter_ns()
        for place in places:
            os.preadv(fd, room, place)
        return perf_counter_ns() - start

    return run


def with_pool(fd: int, buffer: memoryview, pool: ThreadPoolExecutor) -> Callable[[int], int]:
    """As many threads as may be, each with a buffer of its own."""

    def run(turns: int) -> int:
        places = [random.randrange(BLOCKS) * BLOCK for _ in range(turns)]
        rooms = [(buffer[i * BLOCK : (i + 1) * BLOCK],) for i in range(DEPTH)]
        start = perf_counter_ns()
        for at in range(0, turns, DEPTH):
            part = places[at : at + DEPTH]
            list(pool.map(os.preadv, [fd] * len(part), rooms, part))
        return perf_counter_ns() - start

    return run


def with_aio(kq: kqueue, fd: int, buffer: memoryview) -> Callable[[int], int]:
    """DEPTH requests, each submitted again when its event was collected."""
    requests = [aio.Request.read(fd, buffer[i * BLOCK : (i + 1) * BLOCK]) for i in range(DEPTH)]

    def run(turns: int) -> int:
        places = [random.randrange(BLOCKS) * BLOCK for _ in range(turns)]
        start = perf_counter_ns()
        again = requests[:turns]
        for request in again:
            request.offset = places.pop()
        aio.submit(kq, again)
        flying = len(again)
        while flying:
            again = []
            for event in kq.control(None, DEPTH, None):
                flying -= 1
                if places:
                    request = event.udata
                    request.offset = places.pop()
                    again.append(request)
            if again:
                flying += len(again)
                aio.submit(kq, again)
        return perf_counter_ns() - start

    return run


def with_aiofiles(path: str) -> Callable[[int], int]:
    """aiofiles, DEPTH files open at a time, since each has one place."""
    import aiofiles  # type: ignore[import-not-found, import-untyped, unused-ignore]

    async def work(turns: int) -> int:
        files = [await aiofiles.open(path, "rb", buffering=0) for _ in range(DEPTH)]

        async def one(file: object, count: int) -> None:
            for _ in range(count):
                await file.seek(random.randrange(BLOCKS) * BLOCK)  # type: ignore[attr-defined]
                await file.read(BLOCK)  # type: ignore[attr-defined]

        share = -(-turns // DEPTH)
        start = perf_counter_ns()
        await asyncio.gather(*(one(file, share) for file in files))
        taken = perf_counter_ns() - start
        for file in files:
            await file.close()
        return taken * turns // (share * DEPTH)

    return lambda turns: asyncio.run(work(turns))


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """From the page cache, and past it."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(tempfile.NamedTemporaryFile(dir=os.curdir))
        file.write(os.urandom(BLOCK * BLOCKS))
        os.fsync(file.fileno())
        buffer = memoryview(mmap.mmap(-1, BLOCK * DEPTH))
        pool = stack.enter_context(ThreadPoolExecutor())
        kq = stack.enter_context(kqueue())
        found: list[Row] = []
        for name, flags in (("page cache", 0), ("O_DIRECT", os.O_DIRECT)):
            fd = os.open(file.name, os.O_RDONLY | flags)
            stack.callback(os.close, fd)
            beside: list[Contender] = [Loop("threads", with_pool(fd, buffer, pool))]
            if not flags:
                with contextlib.suppress(ImportError):
                    beside.append(Loop("aiofiles", with_aiofiles(file.name)))
            found.append(
                Ratio(
                    f"4 KiB at random places, {name}, 64 at a time",
                    Loop("knote.aio", with_aio(kq, fd, buffer)),
                    Loop("os.preadv", with_preadv(fd, buffer)),
                    1.0,
                    "read",
                    beside,
                    realtime=False,
                )
            )
        yield found


CASE = Case("aio", "What does a read of 4 KiB cost, many at a time?", rows)
