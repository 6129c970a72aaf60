"""str_cli over /dev/poll: the device's own calls, write(2) and ioctl(DP_POLL)."""

from __future__ import annotations

import os
import select
import socket
import struct

from str_cli import main

import knote
from knote.interfaces.devpoll import DP_POLL, POLLREMOVE, dvpoll

POLLFD = struct.Struct("ihh")


def str_cli(stdin: int, sock: socket.socket, stdout: int) -> None:
    """Copy stdin to the server and the server to stdout."""
    device = knote.devpoll()
    watched = [(stdin, select.POLLIN, 0), (sock.fileno(), select.POLLIN, 0)]
    device.write(b"".join(POLLFD.pack(*each) for each in watched))
    results = bytearray(2 * POLLFD.size)
    stdin_ended = False
    while True:
        ready = device.ioctl(DP_POLL, dvpoll(results, 2, -1))
        for i in range(ready):
            fd, _, _ = POLLFD.unpack_from(results, i * POLLFD.size)
            data = os.read(fd, 4096)
            if fd == stdin and data:
                sock.sendall(data)
            elif fd == stdin:
                stdin_ended = True
                sock.shutdown(socket.SHUT_WR)
                device.write(POLLFD.pack(stdin, POLLREMOVE, 0))
            elif data:
                os.write(stdout, data)
            elif stdin_ended:
                device.close()
                return
            else:
                raise SystemExit("str_cli: server terminated prematurely")


if __name__ == "__main__":
    main(str_cli, __doc__)
