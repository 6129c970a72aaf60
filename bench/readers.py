"""Ways to read 4 KiB at random places of a file, DEPTH reads under way at a time.

Each reader gives a function: so many reads, and what they took by the file's clock.  All have the same places to
read and, where the library lets them, the same DEPTH buffers.  What is not installed, or cannot do it, raises
Unavailable with the reason.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import random
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from bench.model import Unavailable
from knote import aio, kqueue

BLOCK = 4096
BLOCKS = 16384
DEPTH = 64

Run = Callable[[int], int]


@dataclass(frozen=True)
class File:
    """What is read, into what, and by which clock it is timed.

    buffer: DEPTH blocks, aligned as O_DIRECT needs it.  clock: nanoseconds of the wall, or of this process's
    processors, kernel threads that work for it included.
    """

    path: str
    fd: int
    buffer: memoryview
    clock: Callable[[], int]
    direct: bool

    def places(self, count: int) -> list[int]:
        """So many offsets."""
        return [random.randrange(BLOCKS) * BLOCK for _ in range(count)]

    def rooms(self) -> list[memoryview]:
        """The buffers."""
        return [self.buffer[i * BLOCK : (i + 1) * BLOCK] for i in range(DEPTH)]


def with_preadv(file: File, _stack: contextlib.ExitStack) -> Run:
    """One read after the other, each into the next buffer."""
    rooms = [(room,) for room in file.rooms()]

    def run(turns: int) -> int:
        places = file.places(turns)
        into = rooms * (turns // DEPTH + 1)
        start = file.clock()
        for place, room in zip(places, into, strict=False):
            os.preadv(file.fd, room, place)
        return file.clock() - start

    return run


def with_pool(file: File, stack: contextlib.ExitStack) -> Run:
    """os.preadv() by as many threads as concurrent.futures thinks right."""
    pool = stack.enter_context(ThreadPoolExecutor())
    rooms = [(room,) for room in file.rooms()]

    def run(turns: int) -> int:
        places = file.places(turns)
        start = file.clock()
        for at in range(0, turns, DEPTH):
            part = places[at : at + DEPTH]
            list(pool.map(os.preadv, [file.fd] * len(part), rooms, part))
        return file.clock() - start

    return run


def with_aio(file: File, stack: contextlib.ExitStack) -> Run:
    """Requests, each submitted again when its event was collected: what came together, by one call."""
    kq = stack.enter_context(kqueue())
    requests = [aio.Request.read(file.fd, room) for room in file.rooms()]

    def run(turns: int) -> int:
        places = file.places(turns)
        start = file.clock()
        again = requests[:turns]
        flying = 0
        while again or flying:
            for request in again:
                request.offset = places.pop()
            aio.submit(kq, again)
            flying += len(again)
            again = [event.udata for event in kq.control(None, DEPTH, None)]
            flying -= len(again)
            del again[len(places) :]
        return file.clock() - start

    return run


def with_listio(file: File, stack: contextlib.ExitStack) -> Run:
    """Lists of DEPTH requests, one after the other: an event for each list, none for a read."""
    kq = stack.enter_context(kqueue())
    requests = [aio.Request.read(file.fd, room) for room in file.rooms()]

    def run(turns: int) -> int:
        places = file.places(turns)
        start = file.clock()
        while places:
            again = requests[: len(places)]
            for request in again:
                request.offset = places.pop()
            aio.lio_listio(kq, again)
            kq.control(None, 1, None)
        return file.clock() - start

    return run


def with_uring_api(file: File, stack: contextlib.ExitStack) -> Run:
    """uring-api: its ring by hand, all submissions of a round by one call."""
    ring = stack.enter_context(library("uring_api").Ring(entries=2 * DEPTH, auto_submit=False))
    rooms = file.rooms()

    def run(turns: int) -> int:
        places = file.places(turns)
        start = file.clock()
        free = rooms[:turns]
        flying = 0
        while free or flying:
            for room in free:
                ring.prepare_read(file.fd, room, places.pop(), room)
            ring.submit()
            flying += len(free)
            free = [completion.user_data for completion in ring.wait()]
            flying -= len(free)
            del free[len(places) :]
        return file.clock() - start

    return run


def with_liburing(file: File, stack: contextlib.ExitStack) -> Run:
    """liburing: as the examples of its package have it."""
    lib = library("liburing")
    if file.direct:
        raise Unavailable("takes a bytearray only, which is not aligned as O_DIRECT needs it")
    ring, cqe = lib.Ring(), lib.Cqe()
    lib.io_uring_queue_init(2 * DEPTH, ring)
    stack.callback(lib.io_uring_queue_exit, ring)
    rooms = [bytearray(BLOCK) for _ in range(DEPTH)]

    def run(turns: int) -> int:
        places = file.places(turns)
        start = file.clock()
        free = list(range(min(DEPTH, turns)))
        flying = 0
        while free or flying:
            for i in free:
                sqe = lib.io_uring_get_sqe(ring)
                lib.io_uring_prep_read(sqe, file.fd, rooms[i], places.pop())
                sqe.user_data = i
            lib.io_uring_submit(ring)
            flying += len(free)
            lib.io_uring_wait_cqe(ring, cqe)
            free = [cqe[0].user_data for _ in lib.CqeIter(ring, cqe)]
            lib.io_uring_cq_advance(ring, len(free))
            flying -= len(free)
            del free[len(places) :]
        return file.clock() - start

    return run


def with_caio(file: File, _stack: contextlib.ExitStack) -> Run:
    """caio: its io_uring context for asyncio, submissions batched."""
    context = library("caio.linux_uring_asyncio").AsyncioContext
    if file.direct:
        raise Unavailable("reads into memory of its own, which is not aligned as O_DIRECT needs it")

    async def work(turns: int) -> int:
        async with context(max_requests=DEPTH, deferred=True, sqpoll=False) as made:

            async def one(places: list[int]) -> None:
                for place in places:
                    await made.read(BLOCK, file.fd, place)

            return await _timed(file, turns, one)

    return lambda turns: asyncio.run(work(turns))


def with_asyncfiles(file: File, _stack: contextlib.ExitStack) -> Run:
    """py-asyncfiles: DEPTH files open at a time, since each has one place."""
    module = library("asyncfiles", "py-asyncfiles")
    if file.direct:
        raise Unavailable("has no way to open a file with O_DIRECT")

    async def work(turns: int) -> int:
        async with contextlib.AsyncExitStack() as opened:
            free = [await opened.enter_async_context(module.open(file.path, "rb")) for _ in range(DEPTH)]

            async def one(places: list[int]) -> None:
                mine = free.pop()
                for place in places:
                    mine.seek(place)
                    await mine.read(BLOCK)

            return await _timed(file, turns, one)

    return lambda turns: asyncio.run(work(turns))


def with_aiofiles(file: File, _stack: contextlib.ExitStack) -> Run:
    """aiofiles: DEPTH files open at a time, since each has one place."""
    module = library("aiofiles")
    rooms = file.rooms()

    def opener(path: str, flags: int) -> int:
        return os.open(path, flags | os.O_DIRECT if file.direct else flags)

    async def work(turns: int) -> int:
        async with contextlib.AsyncExitStack() as opened:
            files = [module.open(file.path, "rb", buffering=0, opener=opener) for _ in range(DEPTH)]
            free = [await opened.enter_async_context(one) for one in files]

            async def one(places: list[int]) -> None:
                mine = free.pop()
                room = rooms[len(free)]
                for place in places:
                    await mine.seek(place)
                    await mine.readinto(room)

            return await _timed(file, turns, one)

    return lambda turns: asyncio.run(work(turns))


async def _timed(file: File, turns: int, one: Callable[[list[int]], Coroutine[Any, Any, None]]) -> int:
    # DEPTH tasks, each with its share.
    places = file.places(turns)
    start = file.clock()
    await asyncio.gather(*(one(places[i::DEPTH]) for i in range(DEPTH)))
    return file.clock() - start


def library(module: str, package: str = "") -> Any:
    """A module of a package that need not be there."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise Unavailable(f"pip install {package or module.split('.')[0].replace('_', '-')}: {error}") from error


LIBRARIES: tuple[tuple[str, Callable[[File, contextlib.ExitStack], Run]], ...] = (
    ("threads", with_pool),
    ("aiofiles", with_aiofiles),
    ("liburing", with_liburing),
    ("uring-api", with_uring_api),
    ("caio", with_caio),
    ("py-asyncfiles", with_asyncfiles),
)


def others(file: File, stack: contextlib.ExitStack, absent: list[str]) -> Iterator[tuple[str, Run]]:
    """Whatever else is here, by name; the names and reasons of those that are not go into absent."""
    for name, reader in LIBRARIES:
        try:
            yield name, reader(file, stack)
        except Unavailable as reason:
            absent.append(f"{name} ({reason})")
