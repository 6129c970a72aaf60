"""knote.loops.proactor: CPython's own proactor loop, and that nobody else is shown win32.

What the loop can do is held by CPython's tests: `python -m tests.cpython proactor`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from asyncio import proactor_events
from collections.abc import Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from knote.loops import proactor
from knote.loops.proactor import IocpProactor, ProactorEventLoop
from knote.loops.windows import Windows
from tests.behaviour.requests import backend
from tests.support.waiting import SOON

__all__ = ["backend"]


def run(main: Coroutine[Any, Any, Any]) -> Any:
    async def in_time() -> Any:
        return await asyncio.wait_for(main, SOON)

    with asyncio.Runner(loop_factory=ProactorEventLoop) as runner:
        return runner.run(in_time())


SECRETS = ("_overlapped", "_winapi", "msvcrt", "asyncio.windows_events", "asyncio.windows_utils")


def test_nothing_of_it_is_seen() -> None:
    program = f"""if True:
        import asyncio, errno, subprocess, sys
        def state():
            return (sys.platform, sys.meta_path[:], sys.path_hooks[:], dict(vars(errno)), dict(vars(subprocess)),
                    __builtins__.__import__)
        before = state()
        from knote.loops import proactor
        assert state() == before
        assert not set({SECRETS!r}) & set(sys.modules)
        assert not hasattr(asyncio, "ProactorEventLoop")
        try:
            import asyncio.windows_events
        except ImportError as error:
            print(error)
    """
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("win32 only\n", "")


def test_it_is_cpythons_source() -> None:
    """The loop and its proactor run code objects of the interpreter's own files."""
    origin = find_spec("asyncio").submodule_search_locations  # type: ignore[union-attr]
    assert origin is not None
    folder = Path(origin[0])
    for method, name in (
        (IocpProactor.recv_into, "windows_events.py"),
        (IocpProactor._poll, "windows_events.py"),
        (ProactorEventLoop._write_to_self, "proactor_events.py"),
    ):
        assert Path(method.__code__.co_filename) == folder / name
    assert issubclass(ProactorEventLoop, proactor_events.BaseProactorEventLoop)
    assert proactor._windows_events.sys.platform == "win32" and sys.platform == "linux"


def test_loaded_by_many_threads() -> None:
    """Each has its own, and no import elsewhere sees anything of it."""
    loaded: list[Any] = []
    seen: set[str] = set()
    over = threading.Event()

    def load() -> None:
        windows = Windows()
        windows.load("asyncio.windows_utils")
        loaded.append(windows.load("asyncio.windows_events"))

    def look() -> None:
        while not over.is_set():
            seen.add(sys.platform)
            with contextlib.suppress(ImportError):
                import msvcrt  # noqa: F401

                seen.add("msvcrt")

    threads = [threading.Thread(target=load) for _ in range(4)]
    watcher = threading.Thread(target=look)
    for thread in (watcher, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    over.set()
    watcher.join()
    assert seen == {"linux"}
    assert len({id(module.IocpProactor) for module in loaded}) == 4


def test_no_such_module() -> None:
    with pytest.raises(ImportError, match=r"asyncio\.windows_nothing, which knote"):
        Windows().load("asyncio.windows_nothing")


def test_streams_datagrams_and_a_child(backend: str) -> None:
    class Echo(asyncio.DatagramProtocol):
        def connection_made(self, transport: Any) -> None:
            self.transport = transport

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.transport.sendto(data.upper(), addr)

    class Answer(asyncio.DatagramProtocol):
        def __init__(self) -> None:
            self.data: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

        def datagram_received(self, data: bytes, addr: Any) -> None:
            self.data.set_result(data)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.read(-1)).upper())
        await writer.drain()
        writer.close()

    async def main() -> None:
        loop = asyncio.get_running_loop()
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            data = b"stream" * 100_000
            writer.write(data)
            writer.write_eof()
            assert await reader.read() == data.upper()
            writer.close()
            await writer.wait_closed()

        echo, _ = await loop.create_datagram_endpoint(Echo, local_addr=("127.0.0.1", 0))
        asker, answer = await loop.create_datagram_endpoint(
            Answer, remote_addr=echo.get_extra_info("sockname")
        )
        asker.sendto(b"datagram")
        assert await answer.data == b"DATAGRAM"
        asker.close()
        echo.close()

        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", "print(open('/dev/stdin').read().upper(), end=''); exit(3)",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert await child.communicate(b"child" * 50_000) == (b"CHILD" * 50_000, None)
        assert child.returncode == 3

    run(main())


def test_a_client_that_resets_before_it_is_accepted() -> None:
    """Linux then says ENOTCONN to getpeername(): that must not end the server."""
    served = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionResetError):
            served.append(await reader.read())
        writer.close()

    async def main() -> None:
        async with await asyncio.start_server(handle, "127.0.0.1", 0) as server:
            address = server.sockets[0].getsockname()
            for _ in range(8):
                with socket.create_connection(address) as client:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            _, writer = await asyncio.open_connection(*address)
            writer.write(b"alive")
            writer.close()
            await writer.wait_closed()
            while b"alive" not in served:
                await asyncio.sleep(0)

    run(main())


def test_cancelled_and_closed_with_everything_under_way(backend: str) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        one, other = socket.socketpair()
        with one, other, socket.create_server(("127.0.0.1", 0)) as server:
            for sock in (one, other, server):
                sock.setblocking(False)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(loop.sock_recv(one, 10), 0.01)
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(loop.sock_accept(server), 0.01)
            await loop.sock_sendall(other, b"still good")
            assert await loop.sock_recv(one, 100) == b"still good"
            tasks = [asyncio.ensure_future(loop.sock_recv(one, 10)), asyncio.ensure_future(asyncio.sleep(100))]
            await asyncio.sleep(0)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    run(main())


def test_signals() -> None:
    """A handler, and Ctrl-C before, under and after it."""

    async def handled() -> list[int]:
        loop = asyncio.get_running_loop()
        seen: list[int] = []
        done = asyncio.Event()
        loop.add_signal_handler(signal.SIGUSR1, lambda: (seen.append(1), done.set()))
        os.kill(os.getpid(), signal.SIGUSR1)
        await done.wait()
        assert loop.remove_signal_handler(signal.SIGUSR1)
        assert not loop.remove_signal_handler(signal.SIGUSR1)
        return seen

    async def interrupted() -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGUSR1, print)
        loop.remove_signal_handler(signal.SIGUSR1)
        threading.Timer(0.05, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
        await asyncio.sleep(SOON)

    assert run(handled()) == [1]
    with pytest.raises(KeyboardInterrupt):
        run(interrupted())
    assert signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL


def test_unix_sockets(tmp_path: Path) -> None:
    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()

    async def main() -> None:
        path = tmp_path / "socket"
        async with await asyncio.start_unix_server(handle, path):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(b"line\n")
            assert await reader.read() == b"line\n"
            writer.close()
            await writer.wait_closed()
        assert path.exists() == (sys.version_info < (3, 13))

    run(main())


def test_in_another_thread() -> None:
    found: list[int] = []

    async def main() -> int:
        return await asyncio.get_running_loop().run_in_executor(None, lambda: 7)

    thread = threading.Thread(target=lambda: found.append(run(main())))
    thread.start()
    thread.join()
    assert found == [7]


def test_no_readers() -> None:
    loop = ProactorEventLoop()
    with pytest.raises(NotImplementedError):
        loop.add_reader(0, print)
    loop.close()
