"""knote.iocp: completion ports, overlapped operations, waits, named pipes; by io_uring, POSIX AIO and threads."""

from __future__ import annotations

import errno
import itertools
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from knote import iocp
from knote.interfaces.iocp import winapi
from tests.behaviour.requests import backend
from tests.support.waiting import SOON, in_a_wait, wait_until

__all__ = ["backend"]

SOON_MS = int(SOON * 1000)


@pytest.fixture
def port(backend: str) -> Iterator[int]:
    """A completion port, closed afterwards."""
    made = iocp.CreateIoCompletionPort(iocp.INVALID_HANDLE_VALUE, iocp.NULL, 0, 0)
    yield made
    iocp.CloseHandle(made)


@pytest.fixture
def pair(port: int) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two connected sockets; the first is the port's, with key 7."""
    one, other = socket.socketpair()
    with one, other:
        one.setblocking(False)
        iocp.CreateIoCompletionPort(one.fileno(), port, 7, 0)
        yield one, other


def get(port: int) -> tuple[int, int, int, int]:
    packet = iocp.GetQueuedCompletionStatus(port, SOON_MS)
    assert packet is not None
    return packet


def begun(method: str, *arguments: Any) -> iocp.Overlapped:
    operation = iocp.Overlapped(iocp.NULL)
    getattr(operation, method)(*arguments)
    return operation


def winerror(error: BaseException) -> int:
    return int(getattr(error, "winerror", 0))


def test_a_packet_of_ones_own(port: int) -> None:
    """S-380: as it is, first in, first out."""
    assert iocp.GetQueuedCompletionStatus(port, 0) is None
    for i in range(3):
        iocp.PostQueuedCompletionStatus(port, i, 2**40 + i, 99)
    assert get(port) == (0, 0, 2**40, 99)
    assert iocp.GetQueuedCompletionStatusEx(port, 8, 0) == [(0, 1, 2**40 + 1, 99), (0, 2, 2**40 + 2, 99)]
    assert iocp.GetQueuedCompletionStatusEx(port, 8, 1) == []
    with pytest.raises(ValueError, match="room for 0"):
        iocp.GetQueuedCompletionStatusEx(port, 0, 0)


def test_associated_once(port: int, pair: tuple[socket.socket, socket.socket]) -> None:
    """S-377."""
    with pytest.raises(OSError) as caught:
        iocp.CreateIoCompletionPort(pair[0].fileno(), port, 8, 0)
    assert winerror(caught.value) == iocp.ERROR_INVALID_PARAMETER and caught.value.errno == errno.EINVAL
    with pytest.raises(OSError) as caught:
        iocp.CreateIoCompletionPort(2**20, port, 8, 0)
    assert winerror(caught.value) == iocp.ERROR_INVALID_HANDLE
    with pytest.raises(OSError) as caught:
        iocp.GetQueuedCompletionStatus(pair[0].fileno(), 0)
    assert winerror(caught.value) == iocp.ERROR_INVALID_HANDLE


def test_a_number_that_is_anothers_now(port: int) -> None:
    one, (other, its_peer) = socket.socket(), socket.socketpair()
    number = one.fileno()
    iocp.CreateIoCompletionPort(number, port, 1, 0)
    os.dup2(other.fileno(), number)
    with one, other, its_peer:
        iocp.CreateIoCompletionPort(number, port, 2, 0)
        begun("WSASend", number, b"x")
        assert get(port)[:3] == (0, 1, 2)


def test_there_and_back(port: int, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    read = begun("WSARecv", one.fileno(), 100)
    assert read.pending and read.error == iocp.ERROR_IO_PENDING
    assert iocp.GetQueuedCompletionStatus(port, 0) is None
    with pytest.raises(OSError) as caught:
        read.getresult()
    assert winerror(caught.value) == iocp.ERROR_IO_INCOMPLETE
    other.send(b"question")
    assert get(port) == (0, 8, 7, read.address)
    assert not read.pending and read.getresult() == b"question" and read.error == 0

    written = begun("WSASend", one.fileno(), b"answer")
    assert get(port) == (0, 6, 7, written.address)
    assert written.getresult() == 6 and other.recv(10) == b"answer"

    buffer = bytearray(4)
    into = begun("WSARecvInto", one.fileno(), buffer)
    other.close()
    assert get(port) == (0, 0, 7, into.address) and into.getresult() == 0
    with pytest.raises(ValueError, match="already attempted"):
        into.WSARecv(one.fileno(), 1)
    with pytest.raises(ValueError, match="not yet attempted"):
        iocp.Overlapped(iocp.NULL).getresult()


def test_a_long_send_is_one_operation(port: int, pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    data = os.urandom(4 << 20)
    sent = begun("WSASend", one.fileno(), memoryview(data))
    received = bytearray()
    reader = threading.Thread(target=lambda: received.extend(_read(other, len(data))))
    reader.start()
    assert get(port) == (0, len(data), 7, sent.address)
    reader.join()
    assert received == data and sent.getresult() == len(data)


def _read(sock: socket.socket, size: int) -> bytes:
    parts = []
    while size:
        parts.append(sock.recv(1 << 20))
        size -= len(parts[-1])
    return b"".join(parts)


def test_cancelled(port: int, pair: tuple[socket.socket, socket.socket]) -> None:
    one, _ = pair
    read = begun("WSARecv", one.fileno(), 10)
    iocp.CancelIoEx(one.fileno())
    assert get(port) == (iocp.ERROR_OPERATION_ABORTED, 0, 7, read.address)
    with pytest.raises(OSError) as caught:
        read.getresult()
    assert winerror(caught.value) == iocp.ERROR_OPERATION_ABORTED and caught.value.errno == errno.ECANCELED
    for nothing in ((one.fileno(),), (one.fileno(), read)):
        with pytest.raises(OSError) as caught:
            iocp.CancelIoEx(*nothing)
        assert winerror(caught.value) == iocp.ERROR_NOT_FOUND
    read.cancel()  # too late, and no error


def test_a_reset(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        connection = server.accept()[0]
    with client, connection:
        iocp.CreateIoCompletionPort(connection.fileno(), port, 0, 0)
        read = begun("WSARecv", connection.fileno(), 10)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        client.close()
        assert get(port)[0] == iocp.ERROR_NETNAME_DELETED
        with pytest.raises(ConnectionResetError) as caught:
            read.getresult()
        assert winerror(caught.value) == iocp.ERROR_NETNAME_DELETED


def test_accept_connect_disconnect(port: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client, socket.socket() as mine:
        for sock in (server, client):
            sock.setblocking(False)
            iocp.CreateIoCompletionPort(sock.fileno(), port, sock.fileno(), 0)
        accepted = begun("AcceptEx", server.fileno(), mine.fileno())
        iocp.BindLocal(client.fileno(), client.family)
        connected = begun("ConnectEx", client.fileno(), server.getsockname())
        assert {get(port) for _ in range(2)} == {
            (0, 0, server.fileno(), accepted.address), (0, 0, client.fileno(), connected.address),
        }  # fmt: skip
        mine.setsockopt(socket.SOL_SOCKET, iocp.SO_UPDATE_ACCEPT_CONTEXT, b"12345678")
        client.setsockopt(socket.SOL_SOCKET, iocp.SO_UPDATE_CONNECT_CONTEXT, 0)
        assert mine.getpeername() == client.getsockname() and not mine.get_inheritable()
        ended = begun("DisconnectEx", client.fileno(), iocp.TF_REUSE_SOCKET)
        assert get(port) == (0, 0, client.fileno(), ended.address)
        assert mine.recv(1) == b""


def test_nobody_listens(port: int) -> None:
    with socket.socket() as server, socket.socket() as client:
        server.bind(("127.0.0.1", 0))
        iocp.CreateIoCompletionPort(client.fileno(), port, 0, 0)
        refused = begun("ConnectEx", client.fileno(), server.getsockname())
        assert get(port)[0] == 1225  # ERROR_CONNECTION_REFUSED
        with pytest.raises(ConnectionRefusedError):
            refused.getresult()
        with pytest.raises(TypeError, match="not NoneType"):
            begun("ConnectEx", client.fileno(), None)


def test_the_socket_for_the_connection_was_closed(port: int) -> None:
    """Its number may be another file's: that must not be taken over."""
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as client:
        iocp.CreateIoCompletionPort(server.fileno(), port, 0, 0)
        mine = socket.socket()
        accepted = begun("AcceptEx", server.fileno(), mine.fileno())
        stranger = os.open("/dev/null", os.O_RDONLY)
        os.dup2(stranger, mine.fileno())
        client.connect(server.getsockname())
        assert get(port)[::3] == (iocp.ERROR_OPERATION_ABORTED, accepted.address)
        assert client.recv(1) == b""
        assert os.path.sameopenfile(stranger, mine.fileno())
        os.close(stranger)
        mine.close()


def test_datagrams(port: int) -> None:
    one, other = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
    with one, other:
        for sock in (one, other):
            sock.bind(("127.0.0.1", 0))
            iocp.CreateIoCompletionPort(sock.fileno(), port, 0, 0)
        read = begun("WSARecvFrom", other.fileno(), 100)
        sent = begun("WSASendTo", one.fileno(), b"hello", 0, other.getsockname())
        assert {get(port)[3] for _ in range(2)} == {read.address, sent.address}
        assert read.getresult() == (b"hello", one.getsockname()) and sent.getresult() == 5
        buffer = bytearray(10)
        into = begun("WSARecvFromInto", one.fileno(), buffer, 3)
        iocp.WSAConnect(other.fileno(), one.getsockname())
        other.send(b"again")
        get(port)
        assert into.getresult() == (3, other.getsockname()) and buffer[:4] == b"aga\0"
        with pytest.raises(TypeError, match="not NoneType"):
            begun("WSASendTo", one.fileno(), b"x", 0, None)


def test_a_file_and_a_part_of_it(port: int, pair: tuple[socket.socket, socket.socket], tmp_path: Path) -> None:
    one, other = pair
    path = tmp_path / "file"
    data = os.urandom(700_000)
    with path.open("w+b", buffering=0) as file:
        iocp.CreateIoCompletionPort(file.fileno(), port, 1, 0)
        begun("WriteFile", file.fileno(), data)
        assert get(port)[:3] == (0, len(data), 1)
        read = begun("ReadFile", file.fileno(), 10, 5)
        assert get(port)[:3] == (0, 10, 1) and read.getresult() == data[5:15]
        buffer = bytearray(10)
        begun("ReadFileInto", file.fileno(), buffer, 699_995)
        assert get(port)[1] == 5 and buffer[:5] == data[-5:]

        received = bytearray()
        reader = threading.Thread(target=lambda: received.extend(_read(other, 600_000)))
        reader.start()
        sent = begun("TransmitFile", one.fileno(), file.fileno(), 100_000, 0, 0, 0, 0)
        assert get(port) == (0, 600_000, 7, sent.address)
        reader.join()
        assert received == data[100_000:]
        begun("TransmitFile", one.fileno(), file.fileno(), 3, 0, 4, 0, 0)
        assert get(port)[1] == 4 and other.recv(10) == data[3:7]
        begun("TransmitFile", one.fileno(), file.fileno(), len(data), 0, 0, 0, 0)
        assert get(port)[1] == 0


def test_without_a_port(backend: str) -> None:
    """The operation has an event, and getresult() waits."""
    read, write = os.pipe()
    operation = iocp.Overlapped()
    operation.ReadFile(read, 100)
    assert winapi.WaitForSingleObject(operation.event, 0) == winapi.WAIT_TIMEOUT
    with pytest.raises(OSError, match="now in progress"):
        operation.getresultex(1)
    os.write(write, b"data")
    assert winapi.WaitForMultipleObjects([operation.event], True, SOON_MS) == winapi.WAIT_OBJECT_0
    assert not operation.pending and operation.getresult(True) == b"data"
    os.close(write)
    ended = iocp.Overlapped(iocp.NULL)
    ended.ReadFile(read, 1)
    assert ended.getresult(True) == b""
    os.close(read)


def test_a_reader_that_goes(port: int) -> None:
    """Reading on the end that only writes ends when the other one is closed, and not before."""
    read, write = os.pipe()
    iocp.CreateIoCompletionPort(write, port, 3, 0)
    watching = begun("ReadFile", write, 16)
    os.write(write, b"x")
    os.read(read, 1)
    assert iocp.GetQueuedCompletionStatus(port, 0) is None
    os.close(read)
    assert get(port) == (0, 0, 3, watching.address) and watching.getresult() == b""
    iocp.CloseHandle(write)


def test_waits(port: int) -> None:
    event = iocp.CreateEvent(None, True, False, None)
    waits = [iocp.RegisterWaitWithQueue(event, port, address, iocp.INFINITE) for address in (11, 12)]
    late = iocp.RegisterWaitWithQueue(event, port, 13, 1)
    assert get(port) == (0, 1, 0, 13)
    iocp.UnregisterWait(late)
    iocp.SetEvent(event)
    assert [get(port) for _ in waits] == [(0, 0, 0, 11), (0, 0, 0, 12)]
    for wait in waits:
        iocp.UnregisterWait(wait)
    with pytest.raises(OSError) as caught:
        iocp.UnregisterWait(late)
    assert winerror(caught.value) == iocp.ERROR_INVALID_HANDLE

    iocp.ResetEvent(event)
    gone = iocp.CreateEvent(None, False, False, None)
    dropped = iocp.RegisterWaitWithQueue(event, port, 14, 50)
    iocp.UnregisterWaitEx(dropped, gone)
    assert winapi.WaitForSingleObject(gone, 0) == winapi.WAIT_OBJECT_0
    assert winapi.WaitForSingleObject(gone, 0) == winapi.WAIT_TIMEOUT  # it resets itself
    iocp.SetEvent(event)
    assert iocp.GetQueuedCompletionStatus(port, 60) is None
    for handle in (event, gone):
        iocp.CloseHandle(handle)
    for call in (iocp.SetEvent, iocp.CloseHandle):
        with pytest.raises(OSError) as caught:
            call(event)
        assert winerror(caught.value) == iocp.ERROR_INVALID_HANDLE


def test_the_end_of_a_child(port: int) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        process = os.pidfd_open(child.pid)
        wait = iocp.RegisterWaitWithQueue(process, port, 1, iocp.INFINITE)
        assert iocp.GetQueuedCompletionStatus(port, 0) is None
        child.communicate(b"\n")
        assert get(port) == (0, 0, 0, 1)
        iocp.UnregisterWait(wait)
        iocp.CloseHandle(process)


def test_a_named_pipe(port: int) -> None:
    name = rf"\\.\pipe\knote-{os.getpid()}"
    arguments = (winapi.PIPE_WAIT, winapi.PIPE_UNLIMITED_INSTANCES, 512, 512, 0, None)
    duplex = winapi.PIPE_ACCESS_DUPLEX | winapi.FILE_FLAG_OVERLAPPED
    with pytest.raises(FileNotFoundError) as caught:
        iocp.ConnectPipe(name)
    assert winerror(caught.value) == 2
    server = winapi.CreateNamedPipe(name, duplex | winapi.FILE_FLAG_FIRST_PIPE_INSTANCE, *arguments)
    with pytest.raises(PermissionError):
        winapi.CreateNamedPipe(name, duplex | winapi.FILE_FLAG_FIRST_PIPE_INSTANCE, *arguments)
    iocp.CreateIoCompletionPort(server, port, 5, 0)
    waiting = begun("ConnectNamedPipe", server)
    client = iocp.ConnectPipe(name)
    assert get(port) == (0, 0, 5, waiting.address)
    assert iocp.Overlapped(iocp.NULL).ConnectNamedPipe(server)  # there already
    begun("WriteFile", server, b"to the client")
    assert get(port)[1] == 13 and os.read(client, 100) == b"to the client"
    for handle in (server, client):
        iocp.CloseHandle(handle)
    with pytest.raises(FileNotFoundError):
        iocp.ConnectPipe(name)


def test_closed_while_waited_on(backend: str) -> None:
    """S-378: ERROR_ABANDONED_WAIT_0."""
    port = iocp.CreateIoCompletionPort(iocp.INVALID_HANDLE_VALUE, iocp.NULL, 0, 0)
    caught: list[int] = []

    def wait() -> None:
        try:
            iocp.GetQueuedCompletionStatus(port, iocp.INFINITE)
        except OSError as error:
            caught.append(winerror(error))

    thread = threading.Thread(target=wait)
    thread.start()
    wait_until(lambda: in_a_wait(thread.native_id or 0))
    iocp.CloseHandle(port)
    thread.join(SOON)
    assert caught == [iocp.ERROR_ABANDONED_WAIT_0]


def test_many_threads_one_port(port: int) -> None:
    """Each packet goes to one of those who wait."""
    taken: list[list[int]] = [[] for _ in range(4)]

    def work(mine: list[int]) -> None:
        while (packet := get(port))[3]:
            mine.append(packet[3])

    threads = [threading.Thread(target=work, args=(mine,)) for mine in taken]
    for thread in threads:
        thread.start()
    for i in range(1, 1001):
        iocp.PostQueuedCompletionStatus(port, 0, 0, i)
    for _ in threads:
        iocp.PostQueuedCompletionStatus(port, 0, 0, 0)
    for thread in threads:
        thread.join()
    assert sorted(itertools.chain(*taken)) == list(range(1, 1001))


def test_words() -> None:
    assert iocp.FormatMessage(iocp.ERROR_PIPE_BUSY) == "All instances of the pipe are busy"
    assert iocp.FormatMessage(iocp.ERROR_INVALID_HANDLE) == os.strerror(errno.EBADF)
    assert "31337" in iocp.FormatMessage(31337)


CPYTHONS = {
    "BindLocal", "ConnectPipe", "CreateEvent", "CreateIoCompletionPort", "ERROR_IO_PENDING",
    "ERROR_NETNAME_DELETED", "ERROR_OPERATION_ABORTED", "ERROR_PIPE_BUSY", "ERROR_PORT_UNREACHABLE",
    "ERROR_SEM_TIMEOUT", "FormatMessage", "GetQueuedCompletionStatus", "INFINITE", "INVALID_HANDLE_VALUE",
    "NULL", "Overlapped", "PostQueuedCompletionStatus", "RegisterWaitWithQueue", "ResetEvent",
    "SO_UPDATE_ACCEPT_CONTEXT", "SO_UPDATE_CONNECT_CONTEXT", "SetEvent", "TF_REUSE_SOCKET", "UnregisterWait",
    "UnregisterWaitEx", "WSAConnect",
}  # fmt: skip
"""Modules/overlapped.c (S-382)."""


METHODS = {
    "AcceptEx", "ConnectEx", "ConnectNamedPipe", "DisconnectEx", "ReadFile", "ReadFileInto", "TransmitFile",
    "WSARecv", "WSARecvFrom", "WSARecvFromInto", "WSARecvInto", "WSASend", "WSASendTo", "WriteFile", "address",
    "cancel", "error", "event", "getresult", "pending",
}  # fmt: skip


def test_names_of_overlapped() -> None:
    assert set(iocp.__all__) >= CPYTHONS
    assert set(dir(iocp.Overlapped())) >= METHODS
