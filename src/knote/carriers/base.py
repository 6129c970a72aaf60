# cython: annotation_typing=False
"""What a carrier is: something that carries requests out and says which are over."""

from __future__ import annotations

from typing import TYPE_CHECKING

from knote._kernel.fork import fork_count
from knote.verbs import DONE

if TYPE_CHECKING:
    from knote.request import Request

_SLOT = 0xFFFF_FFFF
_GENERATION = 0x3FFF_FFFF


class Carrier:
    """Requests on their way, each in a slot: whoever is in one, and the memory that it names, lives.

    fd: polls readable while reap() has something to do.  reap() puts requests that are over into landed, their
    value set.  Threads: only under the queue's lock.
    """

    __slots__ = ("_forks", "_free", "_generation", "fd", "flying", "landed", "name", "slots")

    def __init__(self, name: str, fd: int) -> None:
        self.name = name
        self.fd = fd
        self.slots: list[Request | None] = []
        self._free: list[int] = []
        self._generation = 0
        self.landed: list[Request] = []
        self.flying = 0
        """How many are not over."""
        self._forks = fork_count()

    def admit(self, request: Request) -> int:
        """Give it a slot; its ident, which no request of this queue has had lately: slot | generation << 32."""
        if self._free:
            slot = self._free.pop()
            self.slots[slot] = request
        else:
            slot = len(self.slots)
            self.slots.append(request)
        # Of 30 bits, so that the two highest of a token are left for what is not a request.
        self._generation = self._generation + 1 if self._generation < _GENERATION else 1
        self.flying += 1
        return slot | self._generation << 32

    def find(self, ident: int) -> Request | None:
        """The request of this ident, if it still has its slot."""
        slot = ident & _SLOT
        if slot >= len(self.slots):
            return None
        request = self.slots[slot]
        if request is None or request.ident != ident:
            return None
        return request

    def release(self, request: Request) -> None:
        """Take its slot back.  The caller holds a reference: its last one must not go under the lock."""
        slot = request.ident & _SLOT
        if slot < len(self.slots) and self.slots[slot] is request:
            self.slots[slot] = None
            self._free.append(slot)

    def settle(self, request: Request, value: int) -> None:
        """It is over, with what the system call gave or -errno."""
        if request.state != DONE:
            request.value = value
            request.state = DONE
            self.flying -= 1
            self.landed.append(request)

    def start(self, request: Request) -> None:
        """Begin to carry it out, or prepare to: flush() does the rest.  What cannot be begun is settled."""
        raise NotImplementedError

    def flush(self) -> None:
        """Begin what was prepared."""

    def reap(self) -> None:
        """Find out which are over.  Never blocks."""
        raise NotImplementedError

    def cancel(self, request: Request) -> int:
        """AIO_CANCELED, AIO_NOTCANCELED or AIO_ALLDONE."""
        raise NotImplementedError

    def close(self) -> None:
        """Cancel what can be, wait for the rest, settle all, give descriptors back.  Idempotent.  A forked child
        leaves what is under way to its parent."""
        raise NotImplementedError

    def is_childs(self) -> bool:
        """Whether this is a forked child's copy."""
        return fork_count() != self._forks
