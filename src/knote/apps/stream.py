"""A service as an async function: it reads and writes its client's stream as if it were the only one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Final

from knote import EV_ADD, EV_DELETE, EV_ONESHOT, EVFILT_TIMER, NOTE_NSECONDS, kevent
from knote.apps.alarm import nanoseconds
from knote.apps.handler import Handler
from knote.apps.states import SERVICE, STOPPED

LINE: Final = 65536
"""The longest that readuntil() and readline() look for the end of, unless told otherwise."""
TURN: Final = 65536
"""Bytes that one function may write before others have their turn: a client that reads as fast as it writes would
keep all of them waiting."""
_EACH: Final = 256
"""What a call of write() counts beside its bytes: many small ones take their time, too."""
_TIMERS: Final = 1 << 33


class _Wait:
    """What a stream awaits: the server goes on with others until wake() says so."""

    __slots__ = ()

    def __await__(self) -> Generator[_Wait, None, None]:
        yield self


_WAIT = _Wait()


class Stream:
    """One client, for the length of the async function.  id, peer: as a Connection's.

    Its methods are the only things that can be awaited: there is no asyncio behind it.  When the connection is
    gone the method that waits raises ConnectionResetError, and so does every write(), also after close(); it may
    leave the function, and is no error of the service then.
    """

    def __init__(self, connection: Any, step: Callable[[], None]) -> None:
        self._connection = connection
        self._step = step
        self._data = bytearray()
        self._ended = False
        self._wants = False
        """It waits for bytes."""
        self._full = False
        """It waits until the client has taken some."""
        self._timer = False
        """It waits for a time."""
        self._written = 0
        """Of its turn."""

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

    @property
    def draining(self) -> bool:
        """Whether the server is about to end: the function may end at its next good place."""
        said: bool = self._connection.driver.server.draining
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
        """Send it; waits while the client is owed too much, and for others now and then."""
        connection = self._connection
        has_room = connection.write(data)
        if connection.is_closed():
            # It would be thrown away, and a function that does nothing else would never end, nor wait.
            raise ConnectionResetError("the connection is gone")
        self._written += len(data) + _EACH
        if not has_room:
            self._full = True
            await _WAIT
        elif self._written > TURN:
            connection.driver.server.orders.give(self._step)
            await _WAIT

    async def sleep(self, seconds: float) -> None:
        """Wait for so long, by EVFILT_TIMER."""
        self._timer = True
        ident, flags = _TIMERS + self.id, EV_ADD | EV_ONESHOT
        self._control([kevent(ident, EVFILT_TIMER, flags, NOTE_NSECONDS, nanoseconds(seconds), _Alarm(self))])
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
        stream._step()


class Conversation:
    """The protocol object behind a stream: each event lets the function run until it waits again."""

    def __init__(self, function: Callable[[Stream], Coroutine[Any, Any, Any]]) -> None:
        self._function = function
        self._stream: Any = None
        self._work: Any = None
        self._runs = False
        self._gone = ""
        """Why the connection is gone, which the function is still to be told."""

    def connected(self, connection: Any) -> None:
        """The function begins."""
        self._connection = connection
        self._stream = Stream(connection, self.step)
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

    def draining(self) -> bool:
        """True while the function is at work, and does not wait for a client that is silent."""
        return not (self._stream._wants and not self._stream._data)

    def closed(self, why: str) -> None:
        """The connection is gone; a function that waits is told."""
        stream = self._stream
        if stream is not None and stream._timer:
            try:
                stream._control([kevent(_TIMERS + stream.id, EVFILT_TIMER, EV_DELETE)])
            except OSError:
                pass  # ENOENT: it ran down, by an event of this very turn
        self._gone = why
        if not self._runs:
            self._tell()

    def _tell(self) -> None:
        work, self._work = self._work, None
        if work is None:
            return
        try:
            if self._gone in (SERVICE, STOPPED):
                work.close()
            else:
                work.throw(ConnectionResetError(f"the connection is gone: {self._gone}"))
                work.close()
        except (StopIteration, ConnectionError):
            pass  # it needed to know, and no more

    def step(self) -> None:
        """Run until it waits."""
        work = self._work
        if work is None or self._runs:
            return
        self._runs = True
        self._stream._written = 0
        try:
            if work.send(None) is not _WAIT:
                foreign = RuntimeError("only the stream's own methods can be awaited in a service")
                if work.throw(foreign) is not _WAIT:
                    work.close()
                    raise foreign
            if self._gone:
                self._tell()
        except StopIteration:
            self._work = None
            self._connection.close()
        except BaseException as failure:
            self._work = None
            if not (isinstance(failure, ConnectionError) and self._connection.is_closed()):
                self._connection.failed(failure)
        finally:
            self._runs = False
