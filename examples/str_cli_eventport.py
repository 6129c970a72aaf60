"""str_cli over event ports: what was retrieved is associated again, for as long as it is wanted."""

from __future__ import annotations

import os
import select
import socket

from str_cli import main

from knote import eventport as ep


def str_cli(stdin: int, sock: socket.socket, stdout: int) -> None:
    """Copy stdin to the server and the server to stdout."""
    stdin_ended = False
    with ep.port_create() as port:
        ep.port_associate(port, ep.PORT_SOURCE_FD, stdin, select.POLLIN)
        ep.port_associate(port, ep.PORT_SOURCE_FD, sock, select.POLLIN)
        while True:
            fd = ep.port_get(port).portev_object
            data = os.read(fd, 4096)
            if fd == stdin and data:
                sock.sendall(data)
            elif fd == stdin:
                stdin_ended = True
                sock.shutdown(socket.SHUT_WR)
                continue
            elif data:
                os.write(stdout, data)
            elif stdin_ended:
                return
            else:
                raise SystemExit("str_cli: server terminated prematurely")
            ep.port_associate(port, ep.PORT_SOURCE_FD, fd, select.POLLIN)


if __name__ == "__main__":
    main(str_cli, __doc__)
