"""What a server writes down of its connections: who came, and why it ended."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from knote.apps.connection import Connection
    from knote.apps.listener import Listener

FORMS: Final = ("human", "json")
MONOTONIC = time.CLOCK_MONOTONIC


class Journal:
    """One line for each connection that begins, ends, or is refused.

    form: 'human', or 'json': an object a line, with time (seconds since 1970), event ('open', 'close', 'refused',
        'note'), id, peer, via, listener, and of one that ended why, received and sent (bytes) and seconds.
    stream: where the lines go; stderr when None.  A line that cannot be written is lost, and the server goes on.
    worker: the number of its place, where there are many: its lines have that and the process's number, since each
        process counts its connections from 1.
    The reasons: client, reset, service, failed, idle, first-byte, stopped, drained, unwatchable, tls; of one that
        is refused per-address, proxy, or why it ended before its PROXY header (docs/serve.md).
    """

    def __init__(self, form: str = "human", stream: Any = None, worker: int | None = None) -> None:
        if form not in FORMS:
            raise ValueError(f"form={form!r}: choose {' or '.join(FORMS)}")
        self._json = form == "json"
        self._stream = stream
        self._whose = {} if worker is None else {"worker": worker, "pid": os.getpid()}
        self._mark = "#" if worker is None else f"#{os.getpid()}."

    def opened(self, connection: Connection, via: str = "") -> None:
        """It is served from now on.  via: the proxy that speaks for it."""
        connection.opened = time.clock_gettime_ns(MONOTONIC)
        if connection.address is None:
            connection.address = connection.peer
        by = {"via": via} if via else {}
        self.say("open", connection.id, peer=connection.address, **by, listener=_name(connection.listener))

    def closed(self, connection: Connection, why: str) -> None:
        """It has ended."""
        seconds = (time.clock_gettime_ns(MONOTONIC) - connection.opened) / 1e9
        self.say(
            "close", connection.id, peer=connection.address, why=why, received=connection.received,
            sent=connection.sent, seconds=round(seconds, 6),
        )  # fmt: skip

    def refused(self, number: int, peer: str, listener: Listener, why: str) -> None:
        """It is closed before it was served: its address has too many, or a proxy did not say whose it is."""
        self.say("refused", number, peer=peer, listener=_name(listener), why=why)

    def note(self, text: str) -> None:
        """What the operator should read: an object among objects, where there are lines of JSON."""
        now = time.time()
        if self._json:
            self._write(json.dumps({"time": round(now, 6), "event": "note", "text": text, **self._whose}))
        else:
            self._write(f"{_stamp(now)} note {text}")

    def say(self, event: str, number: int, **what: Any) -> None:
        """One line."""
        now = time.time()
        if self._json:
            line = json.dumps({"time": round(now, 6), "event": event, "id": number, **self._whose, **what})
        else:
            said = " ".join(f"{key}={value}" for key, value in what.items())
            line = f"{_stamp(now)} {event} {self._mark}{number} {said}"
        self._write(line)

    def _write(self, line: str) -> None:
        stream = self._stream or sys.stderr  # which is None where it was closed when Python started
        try:
            if stream is not None:
                stream.write(line + "\n")
                stream.flush()
        except (OSError, ValueError):
            pass


def _stamp(now: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now))


def _name(listener: Any) -> str:
    from knote.apps import address

    return address.named(listener.name)
