"""Services that tests name as tests.apps.services:NAME."""

from __future__ import annotations

from typing import Any

NUMBER = 5


def twice(data: bytes) -> bytes:
    """Everything twice."""
    return data + data


def fails(data: bytes) -> bytes:
    """Raises for some input."""
    if data == b"bad":
        raise ZeroDivisionError("as asked")
    return data


def text(data: bytes) -> Any:
    """Forgets to encode some of it."""
    return data.decode() if data == b"bad" else data


class Lines:
    """A protocol: a greeting, each line back, the count at the end of input."""

    said: list[str] = []

    def connected(self, connection: Any) -> None:
        """Greet."""
        self.connection, self.count = connection, 0
        connection.write(b"hello %d\n" % connection.id)

    def data(self, data: bytes) -> None:
        """Count and answer."""
        self.count += data.count(b"\n")
        self.connection.write(data)

    def eof(self) -> bool:
        """There is more to say."""
        self.connection.write(b"%d lines\n" % self.count)
        self.connection.close()
        return True

    def closed(self, why: str) -> None:
        """For the test."""
        self.said.append(why)


class Flood:
    """A protocol that writes until it is told to wait, and again when it may, ten megabytes in all."""

    left = 10_000_000

    def connected(self, connection: Any) -> None:
        """Begin."""
        self.connection = connection
        self.most = 0
        self.can_write()

    def data(self, data: bytes) -> None:
        """Nothing."""

    def can_write(self) -> None:
        """Go on."""
        while self.left:
            more = self.connection.write(b"f" * 10_000)
            self.left -= 10_000
            self.most = max(self.most, self.connection.pending)
            assert self.most <= self.connection.driver.high + 10_000
            if not more:
                return
        self.connection.close()


async def sums(stream: Any) -> None:
    """Adds up the numbers of each line."""
    while line := await stream.readline():
        await stream.write(b"%d\n" % sum(map(int, line.split())))


async def parts(stream: Any) -> None:
    """Every way of reading, and a wait."""
    size = int((await stream.readuntil(b":"))[:-1])
    body = await stream.readexactly(size)
    await stream.sleep(0.01)
    await stream.write(body[::-1])
    async for data in stream:
        await stream.write(data.upper())


async def fails_later(stream: Any) -> None:
    """Raises after the first bytes."""
    await stream.write(await stream.read())
    raise ZeroDivisionError("as asked")


async def foreign(stream: Any) -> None:
    """Awaits what is not the stream's."""
    import asyncio

    await stream.read()
    await asyncio.sleep(0)


async def torrent(stream: Any) -> None:
    """Does nothing but write."""
    while True:
        await stream.write(b"t" * 1000)


def leaves(data: bytes) -> bytes:
    """Ends the program for some input, it thinks."""
    if data == b"bad":
        raise SystemExit("as asked")
    return data


class Leaves:
    """The same as a protocol, when its client ends."""

    def connected(self, connection: Any) -> None:
        """Remember it."""
        self.connection = connection

    def data(self, data: bytes) -> None:
        """Back."""
        self.connection.write(leaves(data))


async def gives_up(stream: Any) -> None:
    """The same as an async function, by what asyncio raises."""
    import asyncio

    while data := await stream.read():
        if data == b"bad":
            raise asyncio.CancelledError("as asked")
        await stream.write(data)


async def has_no_backend(stream: Any) -> None:
    """A connection of its own, not the client's, fails."""
    while data := await stream.read():
        if data == b"bad":
            raise ConnectionRefusedError("as asked")
        await stream.write(data)


class Callable:
    """An object that is called like an async function."""

    async def __call__(self, stream: Any) -> None:
        """Once."""
        await stream.write((await stream.read()).upper())


called = Callable()


async def yields(stream: Any) -> Any:
    """Not what a service does."""
    yield await stream.read()


class Deaf:
    """A class, and no protocol's."""


class Shout:
    """Has a function inside."""

    @staticmethod
    def loud(data: bytes) -> bytes:
        """More."""
        return data + b"!"
