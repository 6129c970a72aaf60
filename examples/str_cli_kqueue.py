"""str_cli over kqueue(2)."""

from __future__ import annotations

import os
import socket

from str_cli import main

import knote


def str_cli(stdin: int, sock: socket.socket, stdout: int) -> None:
    """Copy stdin to the server and the server to stdout."""
    kq = knote.kqueue()
    # NOTE_FILE_POLL: standard input may be a file, and its end is to be told.
    kq.control(
        [
            knote.kevent(stdin, knote.EVFILT_READ, knote.EV_ADD, knote.NOTE_FILE_POLL),
            knote.kevent(sock, knote.EVFILT_READ, knote.EV_ADD),
        ],
        0,
    )
    stdin_ended = False
    while True:
        for event in kq.control(None, 2):
            data = os.read(event.ident, 4096)
            if event.ident == stdin and data:
                sock.sendall(data)
            elif event.ident == stdin:
                stdin_ended = True
                sock.shutdown(socket.SHUT_WR)
                kq.control([knote.kevent(stdin, knote.EVFILT_READ, knote.EV_DELETE)], 0)
            elif data:
                os.write(stdout, data)
            elif stdin_ended:
                kq.close()
                return
            else:
                raise SystemExit("str_cli: server terminated prematurely")


if __name__ == "__main__":
    main(str_cli, __doc__)
