"""A service as an async function: it reads and writes its client's stream as if it were the only one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from knote import EV_ADD, EV_DELETE, EV_ONESHOT, EVFILT_TIMER, NOTE_NSECONDS, kevent
from knote.apps.handler import Handler
from knote.apps.states import SERVICE, STOPPED

LINE: Final = 65536
"""The longest that readuntil() and readline() look for the end of, unless told otherwise."""
_TIMERS: Final = 1 << 33


class _Wait:
    """What a stream awaits: the server goes on with others until wake() says so."""

    __slots__ = ()

    def __await__(self) -> Generator[_Wait, None, None]:
        yield self


_WAIT = _Wait()


class Stream:
    """One client, for the length of the async function.  id, peer: as a Connection's.

    Its methods are the only things that can be awaited: there is no asyncio behind it.  A client that resets makes
    the method that waits raise ConnectionResetError, which may leave the function: it is no error of the service.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._data = bytearray()
        self._ended = False
        self._wants = False
        """It waits for bytes."""
        self._full = False
        """It waits until the client has taken some."""
        self._timer = False
        """It waits for a time."""

    @property
    def id(self) -> int:
        """The number of the connection."""
        number: int = self._connection.id
        return number

    @property
    def peer(self) -> str:
        """The client's address."""
        said: str = self._connection.peer
        return said

    async def read(self, most: int = LINE) -> bytes:
        """What has come, up to so many bytes; waits for the first.  b"" at the end."""
        while not self._data and not self._ended:
            await self._more()
        return self._cut(min(most, len(self._data)))

    async def readexactly(self, count: int) -> bytes:
        """So many bytes.  EOFError if the end comes first; what came stays to be read."""
        while len(self._data) < count:
            if self._ended:
                raise EOFError(f"the end after {len(self._data)} of {count} bytes")
            await self._more()
        return self._cut(count)

    async def readuntil(self, separator: bytes = b"\n", limit: int = LINE) -> bytes:
        """Up to the separator, which is part of it.  What is left at the end, without one; b"" after that.
        ValueError when there is none in `limit` bytes."""
        start = 0
        while True:
            at = self._data.find(separator, start)
            if at >= 0 and at + len(separator) <= limit:
                return self._cut(at + len(separator))
            if at >= 0 or len(self._data) >= limit:
                raise ValueError(f"no {separator!r} in {limit} bytes")
            if self._ended:
                return self._cut(len(self._data))
            start = max(len(self._data) - len(separator) + 1, 0)
            await self._more()

    async def readline(self, limit: int = LINE) -> bytes:
        """readuntil(b"\\n")."""
        return await self.readuntil(b"\n", limit)

    def __aiter__(self) -> Stream:
        return self

    async def __anext__(self) -> bytes:
        data = await self.read()
        if not data:
            raise StopAsyncIteration
        return data

    async def write(self, data: Any) -> None:
        """Send it; waits while the client is owed too much."""
        if not self._connection.write(data) and self._connection.pending:
            self._full = True
            await _WAIT

    async def sleep(self, seconds: float) -> None:
        """Wait for so long, by EVFILT_TIMER."""
        self._timer = True
        self._control([kevent(_TIMERS + self.id, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_NSECONDS,
                              max(int(seconds * 1e9), 1), _Alarm(self))])  # fmt: skip
        await _WAIT

    def close(self) -> None:
        """Once the client has what it is owed; as when the function returns."""
        self._connection.close()

    async def _more(self) -> None:
        self._wants = True
        self._connection.resume()
        await _WAIT

    def _cut(self, count: int) -> bytes:
        data = bytes(self._data[:count])
        del self._data[:count]
        return data

    def _control(self, changes: list[kevent]) -> None:
        self._connection.driver.server.control(changes, 0)


class _Alarm(Handler):
    __slots__ = ("_stream",)

    def __init__(self, stream: Stream) -> None:
        self._stream: Any = stream

    def ready(self, event: kevent) -> None:
        stream = self._stream
        stream._timer = False
        stream._conversation.step()


class Conversation:
    """The protocol object behind a stream: each event lets the function run until it waits again."""

    def __init__(self, function: Callable[[Stream], Coroutine[Any, Any, Any]]) -> None:
        self._function = function
        self._stream: Any = None
        self._work: Any = None
        self._runs = False

    def connected(self, connection: Any) -> None:
        """The function begins."""
        self._connection = connection
        self._stream = Stream(connection)
        self._stream._conversation = self
        self._work = self._function(self._stream)
        self.step()

    def data(self, data: bytes) -> None:
        """It may go on if it waited for bytes."""
        stream = self._stream
        stream._data += data
        if stream._wants:
            stream._wants = False
            self.step()
        if len(stream._data) > self._connection.driver.high and not stream._wants:
            self._connection.pause()

    def eof(self) -> bool:
        """The client says no more; the function ends the connection."""
        stream = self._stream
        stream._ended = True
        if stream._wants:
            stream._wants = False
            self.step()
        return True

    def can_write(self) -> None:
        """It may go on if it waited for room."""
        if self._stream._full:
            self._stream._full = False
            self.step()

    def closed(self, why: str) -> None:
        """The connection is gone; a function that waits is told."""
        stream, work = self._stream, self._work
        if stream is not None and stream._timer:
            stream._control([kevent(_TIMERS + stream.id, EVFILT_TIMER, EV_DELETE)])
        if work is None or self._runs:
            return
        self._work = None
        try:
            if why in (SERVICE, STOPPED):
                work.close()
            else:
                work.throw(ConnectionResetError(f"the connection is gone: {why}"))
                work.close()
        except (StopIteration, ConnectionError):
            pass  # it needed to know, and no more

    def step(self, error: BaseException | None = None) -> None:
        """Run until it waits."""
        work = self._work
        if work is None or self._runs:
            return
        self._runs = True
        try:
            waits = work.send(None) if error is None else work.throw(error)
            if waits is not _WAIT:
                waits = work.throw(RuntimeError("only the stream's own methods can be awaited in a service"))
        except StopIteration:
            self._work = None
            self._connection.close()
        except ConnectionError:
            self._work = None
            self._connection.abort()
        except Exception as failure:
            self._work = None
            self._connection.failed(failure)
        finally:
            self._runs = False
