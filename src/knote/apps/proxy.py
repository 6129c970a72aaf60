"""Proxies that may say for whom they speak, and what stands in front of the service until they have."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any, Final

from knote.apps.proxy_header import ProxyError, read
from knote.apps.service import CHARGEN
from knote.apps.states import PROXY, SILENT

if TYPE_CHECKING:
    from collections.abc import Iterable

UNIX: Final = "unix"
"""Trusts whoever reaches a UNIX listener: its file's permissions say who can."""
_REMEMBERED: Final = 1024
"""Hosts whose verdict is kept; a proxy has few addresses, and strangers are not to fill our memory."""


class Proxies:
    """The addresses from which a PROXY header is required; from all others none is looked for, so that nobody else
    can say that he is somebody else.

    words: addresses, nets as ADDRESS/BITS, and 'unix'.  An IPv4 address means the same one behind ::ffff:, as a
    listener on [::] sees it.  Raises ValueError with what is wrong with which word.
    """

    def __init__(self, words: Iterable[str]) -> None:
        self._nets: list[Any] = []
        self._unix = False
        for word in words:
            if word == UNIX:
                self._unix = True
            else:
                self._nets.append(net(word))
        self._verdicts: dict[str, bool] = {}
        self._told: set[str] = set()

    def trusts(self, host: str, unix: bool) -> bool:
        """Whether a header comes first from there.  host: as getpeername() says it; unix: by a UNIX listener."""
        if unix or not host:
            return unix and self._unix
        verdict = self._verdicts.get(host)
        if verdict is None:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            verdict = self._verdicts[host] = self._looked_up(host)
        return verdict

    def _looked_up(self, host: str) -> bool:
        there: Any = ipaddress.ip_address(host)
        there = getattr(there, "ipv4_mapped", None) or there
        return any(there in each for each in self._nets)

    def preface(self, server: Any, connection: Any) -> Preface:
        """For a new connection from one of them."""
        return Preface(self, server, connection)

    def complain(self, server: Any, peer: str, error: ProxyError) -> None:
        """The operator hears of each proxy once: it says the same for each of its connections."""
        host = peer.rpartition(":")[0]
        if host not in self._told and len(self._told) < _REMEMBERED:
            self._told.add(host)
            server.tell(
                f"{peer} is trusted to send a PROXY header (--proxy-from), and what came is none: {error}. Its "
                "connections are closed; haproxy sends one with send-proxy-v2, nginx with proxy_protocol on"
            )


def net(word: str) -> Any:
    """The net of 'ADDRESS' or 'ADDRESS/BITS'.  ValueError for what is none."""
    try:
        return ipaddress.ip_network(word)
    except ValueError as error:
        words = str(error)
    if words.endswith("has host bits set"):
        meant = ipaddress.ip_network(word, strict=False)
        raise ValueError(f"{word!r} is an address in a net: write {meant} for the net, without /... for it alone")
    raise ValueError(f"{word!r} is no ADDRESS, ADDRESS/BITS or {UNIX!r}: write 192.0.2.7, 10.0.0.0/8 or fd00::/8")


class Preface:
    """One connection, up to the end of its header.  It lies where TLS lies later, and takes itself away, so that a
    request costs nothing more for it.

    The whole header must be there within the time for the first byte; a client behind the proxy then has the same
    time for its own.
    """

    __slots__ = ("_connection", "_data", "_proxies", "_server", "_since")

    def __init__(self, proxies: Proxies, server: Any, connection: Any) -> None:
        self._proxies = proxies
        self._server = server
        self._connection = connection
        self._data = b""
        self._since = connection.seen
        connection.flags |= SILENT

    def received(self, data: bytes) -> None:
        """Bytes of the socket have come: the header's, some of it, or more than it."""
        connection = self._connection
        self._data += data
        try:
            header = read(self._data)
        except ProxyError as error:
            self._proxies.complain(self._server, connection.peer, error)
            connection.drop(PROXY)
            return
        if header is None:
            connection.seen = self._since
            connection.flags |= SILENT
            return
        rest = self._data[header.length :]
        connection.wrap = None
        if rest or connection.kind >= CHARGEN:
            connection.flags &= ~SILENT
        else:
            connection.flags |= SILENT
        self._server.introduced(connection, header.client)
        if rest and not connection.is_closed():
            connection.took(rest)

    def seal(self, data: bytes) -> bytes:
        """Nothing is sent before the service has begun."""
        raise AssertionError("sent before the PROXY header has come")

    def ended(self) -> None:
        """The end came first: of a check that only connects, or of one that sends no header."""
        if self._data:
            self._connection.drop(PROXY)

    def finish(self) -> None:
        """There is no goodbye."""
