"""The listening sockets that a master holds for its workers, from its start to its end."""

from __future__ import annotations

import socket
from typing import Any

from knote.apps.listener import forget, opened


class Door:
    """One listening socket.

    share: the number of the worker who accepts from it; None for one that all of them accept from, as there is
        only one queue of a UNIX socket and of a socket that was given to us.
    given: somebody else holds it too, and goes on when we end.
    """

    __slots__ = ("given", "name", "share", "sock")

    def __init__(self, sock: socket.socket, share: int | None, given: bool) -> None:
        self.sock = sock
        self.share = share
        self.given = given
        self.name: Any = sock.getsockname()


class Doors:
    """All of them: for each TCP address one for each worker (SO_REUSEPORT), for any other one.

    Facts, and what follows: a connection is queued at one of the sockets of its address, and the last close of
    that socket resets it.  So the master holds them all, every worker is given all, and which worker accepts
    from which can change without a connection's noticing it.
    Raises OSError, with the address as its filename, when one cannot be had.
    """

    def __init__(self, where: list[Any], workers: int) -> None:
        self._all: list[Door] = []
        self.first: list[int] = []
        """The first door of each address, to be named."""
        for one in where:
            self.first.append(len(self._all))
            try:
                socks = opened(one, workers)
            except OSError:
                self.close()
                raise
            many = len(socks) > 1
            for share, sock in enumerate(socks):
                self._all.append(Door(sock, share if many or workers == 1 else None, sock is one))

    def __iter__(self) -> Any:
        return iter(self._all)

    def __len__(self) -> int:
        return len(self._all)

    def numbers(self) -> list[int]:
        """Their descriptors."""
        return [door.sock.fileno() for door in self._all]

    def of(self, share: int) -> list[int]:
        """Which of them are one worker's, by their places."""
        return [at for at, door in enumerate(self._all) if door.share == share]

    def common(self) -> list[int]:
        """Which are everybody's."""
        return [at for at, door in enumerate(self._all) if door.share is None]

    def ours(self) -> list[int]:
        """Which close for ever when we end."""
        return [at for at, door in enumerate(self._all) if not door.given]

    def close(self) -> None:
        """Close them, and take the files of our UNIX sockets away.  Idempotent."""
        for door in self._all:
            forget(door.sock, given=door.given)
