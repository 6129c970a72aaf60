# cython: annotation_typing=False
"""What a client is owed and has not taken."""

from __future__ import annotations

from typing import Any

from knote._kernel.stream import send_list

SMALL = 4096
"""Up to here an answer is copied behind the one before it: many tiny ones would cost forty times their size."""
TOGETHER = 65536
"""A part of copies is no larger, nor what is put together to be sent by one request."""


class Outgoing:
    """Parts in order.  Bytes are kept as they are; what its owner could still change is copied."""

    __slots__ = ("_parts", "_skip", "size")

    def __init__(self) -> None:
        self._parts: list[Any] = []
        self._skip = 0
        """So much of the first part is gone."""
        self.size = 0
        """Bytes in all."""

    def push(self, data: Any) -> None:
        """At the end.  TypeError for what has no bytes."""
        if type(data) is not bytes:
            data = bytes(memoryview(data))
        count = len(data)
        if not count:
            return
        parts = self._parts
        last = parts[len(parts) - 1] if parts else None
        if count <= SMALL and type(last) is bytearray and len(last) < TOGETHER:
            last += data
        else:
            parts.append(bytearray(data) if count <= SMALL else data)
        self.size += count

    def push_first(self, data: bytes) -> None:
        """In front of all others; only while nothing of them is gone."""
        self._parts.insert(0, data)
        self.size += len(data)

    def send(self, fd: int) -> int:
        """Have the kernel take what it takes now: how many bytes, or -errno."""
        count = send_list(fd, self._parts, self._skip)
        if count > 0:
            self.taken(count)
        return count

    def taken(self, count: int) -> None:
        """So much is gone."""
        self.size -= count
        count += self._skip
        parts = self._parts
        gone = 0
        while gone < len(parts) and count >= len(parts[gone]):
            count -= len(parts[gone])
            gone += 1
        if gone:
            del parts[:gone]
        self._skip = count

    def head(self) -> bytes:
        """The first part, and those behind it that fit beside it, as bytes that stay what they are until taken();
        skipped() says how much of it is gone."""
        parts = self._parts
        size = len(parts[0])
        count = 1
        while count < len(parts) and size + len(parts[count]) <= TOGETHER:
            size += len(parts[count])
            count += 1
        if count > 1:
            parts[:count] = [b"".join(parts[:count])]
        elif type(parts[0]) is not bytes:
            parts[0] = bytes(parts[0])
        first: bytes = parts[0]
        return first

    def skipped(self) -> int:
        """Bytes of head() that are gone."""
        return self._skip
