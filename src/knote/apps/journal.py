"""What a server writes down of its connections: who came, and why it ended."""

from __future__ import annotations

import json
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

    form: 'human', or 'json': an object a line, with time (seconds since 1970), event ('open', 'close',
    'refused'), id,
        peer, listener, and of one that ended why, received and sent (bytes) and seconds.
    stream: where the lines go; stderr when None.  A line that cannot be written is lost, and the server goes on.
    The reasons: client, reset, service, failed, idle, first-byte, stopped, unwatchable, tls (docs/serve.md).
    """

    def __init__(self, form: str = "human", stream: Any = None) -> None:
        if form not in FORMS:
            raise ValueError(f"form={form!r}: choose {' or '.join(FORMS)}")
        self._json = form == "json"
        self._stream = stream

    def opened(self, connection: Connection) -> None:
        """It is served from now on."""
        connection.opened = time.clock_gettime_ns(MONOTONIC)
        if connection.address is None:
            connection.address = connection.peer
        self.say("open", connection.id, peer=connection.address, listener=_name(connection.listener))

    def closed(self, connection: Connection, why: str) -> None:
        """It has ended."""
        seconds = (time.clock_gettime_ns(MONOTONIC) - connection.opened) / 1e9
        self.say(
            "close", connection.id, peer=connection.address, why=why, received=connection.received,
            sent=connection.sent, seconds=round(seconds, 6),
        )  # fmt: skip

    def refused(self, number: int, peer: str, listener: Listener) -> None:
        """Its address has too many already."""
        self.say("refused", number, peer=peer, listener=_name(listener), why="per-address")

    def say(self, event: str, number: int, **what: Any) -> None:
        """One line."""
        now = time.time()
        if self._json:
            line = json.dumps({"time": round(now, 6), "event": event, "id": number, **what})
        else:
            said = " ".join(f"{key}={value}" for key, value in what.items())
            line = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(now))}Z {event} #{number} {said}"
        stream = self._stream or sys.stderr
        try:
            stream.write(line + "\n")
            stream.flush()
        except (OSError, ValueError):
            pass


def _name(listener: Any) -> str:
    from knote.apps import address

    name = listener.name
    return address.text(name) if isinstance(name, tuple) else f"unix:{name}"
