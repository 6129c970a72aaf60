"""str_cli over Windows' completion ports."""

from __future__ import annotations

import os
import socket

from str_cli import main

from knote import iocp


def str_cli(stdin: int, sock: socket.socket, stdout: int) -> None:
    """Copy stdin to the server and the server to stdout."""
    port = iocp.CreateIoCompletionPort(iocp.INVALID_HANDLE_VALUE, iocp.NULL, 0, 0)
    for handle in (stdin, sock.fileno()):
        iocp.CreateIoCompletionPort(handle, port, handle, 0)

    def begin(method: str, *arguments: object) -> iocp.Overlapped:
        operation = iocp.Overlapped(iocp.NULL)
        getattr(operation, method)(*arguments)
        return operation

    offset = 0  # where a file is read; a terminal or a pipe has none
    stdin_ended = False
    reading = begin("ReadFile", stdin, 4096, offset)
    receiving = begin("WSARecv", sock.fileno(), 4096)
    while True:
        packet = iocp.GetQueuedCompletionStatus(port, iocp.INFINITE)
        assert packet is not None
        address = packet[3]
        if address == reading.address:
            data = reading.getresult()
            if data:
                offset += len(data)
                begin("WSASend", sock.fileno(), data)
            else:
                stdin_ended = True
                sock.shutdown(socket.SHUT_WR)
        elif address == receiving.address:
            data = receiving.getresult()
            if data:
                os.write(stdout, data)
                receiving = begin("WSARecv", sock.fileno(), 4096)
            elif stdin_ended:
                iocp.CloseHandle(port)
                return
            else:
                raise SystemExit("str_cli: server terminated prematurely")
        else:  # what was read has been sent
            reading = begin("ReadFile", stdin, 4096, offset)


if __name__ == "__main__":
    main(str_cli, __doc__)
