"""HTTP for the few pages of --admin, by h11 (the extra `metrics`): a protocol of the server's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import parse_qs

import h11

if TYPE_CHECKING:
    from collections.abc import Callable

    Answer = tuple[int, str, bytes]
    """Status, content type, body."""
    Reply = Callable[[Answer], None]

PLAIN: Final = "text/plain; charset=utf-8"
LONGEST: Final = 8192
"""Bytes of a request's head."""
_METHODS: Final = (b"GET", b"HEAD")


class Asked(NamedTuple):
    """A request: what its header Accept says, and the first value of each word of its query."""

    accept: str
    query: dict[str, str]


class Page:
    """One connection.  pages: by path, what makes the answer: it gets what is asked, and a function to hand the
    answer to, at once or later."""

    def __init__(self, pages: dict[str, Callable[[Asked, Reply], None]]) -> None:
        self._pages = pages
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=LONGEST)
        self._connection: Any = None
        self._request: Any = None
        self._pending = False
        """An answer is being made."""
        self._asks = False
        """It is being asked for, and may be there at once."""

    def connected(self, connection: Any) -> None:
        """A client has come."""
        self._connection = connection

    def data(self, data: bytes) -> None:
        """Some of a request, or more than one."""
        self._http.receive_data(data)
        self._go_on()

    def eof(self) -> bool:
        """No more will be asked; what was asked is answered."""
        self._http.receive_data(b"")
        self._go_on()
        return self._pending

    def draining(self) -> bool:
        """Whether an answer is still due."""
        return self._pending

    def _go_on(self) -> None:
        try:
            while not self._pending and not self._connection.is_closed():
                event = self._http.next_event()
                if event is h11.NEED_DATA:
                    return
                if event is h11.PAUSED or isinstance(event, h11.ConnectionClosed):
                    self._connection.close()
                    return
                if isinstance(event, h11.Request):
                    self._request = event
                elif isinstance(event, h11.EndOfMessage):
                    self._ask()
        except h11.RemoteProtocolError as error:
            if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                self._answer((error.error_status_hint, PLAIN, f"{error}\n".encode()))
            self._connection.close()

    def _ask(self) -> None:
        path, _, query = self._request.target.decode("ascii", "backslashreplace").partition("?")
        page = self._pages.get(path)
        if page is None:
            words = f"there is no {path}; there are {', '.join(self._pages)}\n"
            self._answer((404, PLAIN, words.encode()))
        elif self._request.method not in _METHODS:
            self._answer((405, PLAIN, b"GET and HEAD, and nothing else\n"))
        else:
            accept = b",".join(value for name, value in self._request.headers if name == b"accept")
            self._pending = self._asks = True
            found = {word: values[0] for word, values in parse_qs(query).items()}
            page(Asked(accept.decode("latin-1"), found), self._late)
            self._asks = False

    def _late(self, answer: Answer) -> None:
        self._pending = False
        self._answer(answer)
        if not self._asks:
            self._go_on()

    def _answer(self, answer: Answer) -> None:
        if self._connection.is_closed():
            return
        status, kind, body = answer
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        if status == 405:
            headers.append(("Allow", "GET, HEAD"))
        out = [self._http.send(h11.Response(status_code=status, headers=headers))]
        if self._request is None or self._request.method != b"HEAD":
            out.append(self._http.send(h11.Data(data=body)))
        out.append(self._http.send(h11.EndOfMessage()))
        self._request = None
        self._connection.write(b"".join(part for part in out if part))
        if self._http.our_state is h11.DONE and self._http.their_state is h11.DONE:
            self._http.start_next_cycle()
        elif self._http.our_state is h11.MUST_CLOSE:
            self._connection.close()


def words(status: int, text: str) -> Answer:
    """An answer in a line of plain text."""
    return status, PLAIN, f"{text}\n".encode()
