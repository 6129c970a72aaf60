"""asyncio on KqueueSelector: each kind of transport; CPython's own tests of it are `make cpython`."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import pytest

import knote
from knote.loops.selector import KqueueSelector
from tests.support import plumbing
from tests.support.plumbing import LOCALHOST, Pipe
from tests.support.waiting import SOON

T = TypeVar("T")


def run(main: Callable[[], Awaitable[T]]) -> T:
    """asyncio.run() on a loop of ours."""

    def loop() -> asyncio.AbstractEventLoop:
        return asyncio.SelectorEventLoop(KqueueSelector())

    async def bounded() -> T:
        return await asyncio.wait_for(main(), 4 * SOON)

    with asyncio.Runner(loop_factory=loop) as runner:
        return runner.run(bounded())


def test_the_loop_is_on_a_kqueue() -> None:
    async def main() -> bool:
        loop: Any = asyncio.get_running_loop()
        return type(loop._selector._queue) is knote.kqueue

    assert run(main)


def test_streams() -> None:
    """16 connections that say a megabyte each, and hear it again."""
    blob = os.urandom(1 << 20)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def ask(port: int) -> bool:
        reader, writer = await asyncio.open_connection(LOCALHOST, port)

        async def say() -> None:
            writer.write(blob)
            await writer.drain()
            writer.write_eof()

        heard, _ = await asyncio.gather(reader.read(), say())
        writer.close()
        await writer.wait_closed()
        return heard == blob

    async def main() -> list[bool]:
        server = await asyncio.start_server(serve, LOCALHOST, 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return list(await asyncio.gather(*(ask(port) for _ in range(16))))

    assert all(run(main))


def test_refused() -> None:
    """S-344."""
    with plumbing.listener() as gone:
        port = gone.getsockname()[1]

    async def main() -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(LOCALHOST, port)

    run(main)


def test_datagrams() -> None:
    class Answer(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.transport.sendto(data.upper(), address)

    class Hear(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.heard: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, address: Any) -> None:
            self.heard.set_result(data)

    async def main() -> bytes:
        loop = asyncio.get_running_loop()
        server, _ = await loop.create_datagram_endpoint(Answer, local_addr=(LOCALHOST, 0))
        address = server.get_extra_info("sockname")
        client, hear = await loop.create_datagram_endpoint(Hear, remote_addr=address)
        client.sendto(b"abc")
        heard = await hear.heard
        client.close()
        server.close()
        return heard

    assert run(main) == b"ABC"


def test_subprocess() -> None:
    code = "import sys; sys.stdout.write(sys.stdin.read().upper()); sys.exit(3)"

    async def main() -> tuple[bytes, int | None]:
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        said, _ = await child.communicate(b"abc" * 50_000)
        return said, child.returncode

    assert run(main) == (b"ABC" * 50_000, 3)


@pytest.mark.filterwarnings("ignore:.*child watcher.*:DeprecationWarning")
def test_the_reader_of_a_pipe_leaves(pipe: Pipe) -> None:
    """S-345: the write transport hears of it without writing."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        lost = loop.create_future()

        class Lost(asyncio.BaseProtocol):
            def connection_lost(self, error: Exception | None) -> None:
                lost.set_result(error)

        transport, _ = await loop.connect_write_pipe(Lost, os.fdopen(os.dup(pipe.w), "wb", 0))
        await asyncio.sleep(0)
        assert not lost.done()
        pipe.close_r()
        await lost
        transport.close()

    run(main)


def test_signals_timers_and_threads() -> None:
    async def main() -> tuple[bool, str]:
        loop = asyncio.get_running_loop()
        caught = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, caught.set)
        os.kill(os.getpid(), signal.SIGUSR1)
        await caught.wait()
        loop.remove_signal_handler(signal.SIGUSR1)
        start = loop.time()
        await asyncio.sleep(0.02)
        late = loop.time() - start >= 0.02
        said = await loop.run_in_executor(None, lambda: "from a thread")
        await loop.shutdown_default_executor()
        return late, said

    assert run(main) == (True, "from a thread")


def test_a_kqueue_in_somebody_elses_loop(pipe: Pipe) -> None:
    """Its descriptor polls: timers and whatever else a kqueue waits for, in an epoll loop of asyncio."""

    async def main() -> list[str]:
        loop = asyncio.get_running_loop()
        with knote.kqueue() as queue:
            seen: list[str] = []
            done = loop.create_future()

            def collect() -> None:
                seen.extend(str(event).split()[0] for event in queue.control(None, 8, 0))
                if len(seen) == 2:
                    done.set_result(None)

            loop.add_reader(queue.fileno(), collect)
            timer = knote.kevent(1, knote.EVFILT_TIMER, knote.EV_ADD | knote.EV_ONESHOT, data=5)
            queue.control([timer, knote.kevent(pipe.r, flags=knote.EV_ADD | knote.EV_ONESHOT)], 0)
            pipe.write(b"x")
            await done
            loop.remove_reader(queue.fileno())
            return sorted(seen)

    async def bounded() -> list[str]:
        return await asyncio.wait_for(main(), 4 * SOON)

    assert asyncio.run(bounded()) == run(main) == ["READ", "TIMER"]


def test_cancelled_in_the_middle() -> None:
    """A socket whose wait was given up is not watched any more."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        a, b = socket.socketpair()
        with a, b:
            a.setblocking(False)
            for _ in range(3):
                with pytest.raises(asyncio.TimeoutError):
                    await asyncio.wait_for(loop.sock_recv(a, 1), 0.001)
            b.send(b"x")
            assert await loop.sock_recv(a, 1) == b"x"
            assert len(loop._selector.get_map()) == 1  # type: ignore[attr-defined]  # the loop's own

    run(main)
