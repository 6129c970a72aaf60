"""The header that a proxy puts in front of a connection: for whom it speaks.

Both versions of "The PROXY protocol", Willy Tarreau, haproxy's doc/proxy-protocol.txt: a line of text, or a block
that begins with a signature, carries addresses and may carry more, of which nothing is needed here.
"""

from __future__ import annotations

import socket
import struct
from typing import Final, NamedTuple

from knote.apps import address as addresses

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
"""What version 2 begins with; and the line of version 1 with WORD."""
WORD: Final = b"PROXY "
LONGEST_LINE: Final = 107
"""Bytes of version 1 with its CRLF: the worst case, which the protocol's text tells to allow for and no more."""
LONGEST_BLOCK: Final = 4096
"""Bytes of version 2.  The format has room for 64 KiB; addresses and every registered TLV fit into a few hundred,
and who is trusted to name an address is not trusted to fill our memory.  nginx has the same limit."""
UNIX: Final = "unix"
"""The client came to the proxy by a UNIX socket, and has no address."""

_FIXED: Final = struct.Struct("!12sBBH")
# Family and transport, version 2: how many bytes, and how the source lies in them.  UNIX: two paths of 108.
_LAYOUTS: Final = {
    0x11: (12, socket.AF_INET, struct.Struct("!4s4xH")),
    0x12: (12, socket.AF_INET, struct.Struct("!4s4xH")),
    0x21: (36, socket.AF_INET6, struct.Struct("!16s16xH")),
    0x22: (36, socket.AF_INET6, struct.Struct("!16s16xH")),
    0x31: (216, socket.AF_UNIX, None),
    0x32: (216, socket.AF_UNIX, None),
}
_FAMILIES: Final = {b"TCP4": socket.AF_INET, b"TCP6": socket.AF_INET6}


class ProxyError(ValueError):
    """Bytes that are no header; the text says what is wrong with them."""


class Header(NamedTuple):
    """length: bytes of it; what comes behind is the client's.  client: its HOST:PORT, or 'unix'; None when the
    connection is the proxy's own (a health check) or the proxy does not know."""

    length: int
    client: str | None


def read(data: bytes) -> Header | None:
    """The header that data begins with; None while more of it is to come.  Raises ProxyError as soon as it cannot
    become one."""
    if data.startswith(SIGNATURE):
        return _block(data)
    if data.startswith(WORD):
        return _line(data)
    if SIGNATURE.startswith(data) or WORD.startswith(data):
        return None
    raise ProxyError(f"no PROXY header, but {bytes(data[:16])!r}")


def _line(data: bytes) -> Header | None:
    end = data.find(b"\r\n", 0, LONGEST_LINE)
    if end < 0:
        if len(data) < LONGEST_LINE:
            return None
        raise ProxyError(f"a line of more than {LONGEST_LINE} bytes: {bytes(data[:16])!r}...")
    line = bytes(data[:end])
    words = line.split(b" ")
    if words[1] == b"UNKNOWN":  # whatever follows it
        return Header(end + 2, None)
    family = _FAMILIES.get(words[1])
    if family is None or len(words) != 6:
        raise ProxyError(f"{line!r} is not PROXY TCP4|TCP6 SOURCE DESTINATION PORT PORT, nor PROXY UNKNOWN")
    host = _host(family, words[2], line)
    _host(family, words[3], line)
    port = _port(words[4], line)
    _port(words[5], line)
    return Header(end + 2, addresses.join(host, port))


def _host(family: int, word: bytes, line: bytes) -> str:
    try:
        return socket.inet_ntop(family, socket.inet_pton(family, word.decode("ascii")))
    except (OSError, ValueError):
        raise ProxyError(f"{line!r}: {word!r} is no address of its family") from None


def _port(word: bytes, line: bytes) -> int:
    # int() would take '+1', ' 1' and '1_0'.
    if not (word.isdigit() and len(word) <= 5 and int(word) < 1 << 16):
        raise ProxyError(f"{line!r}: {word!r} is no port")
    return int(word)


def _block(data: bytes) -> Header | None:
    if len(data) < _FIXED.size:
        return None
    _signature, command, family, size = _FIXED.unpack_from(data)
    if command not in (0x20, 0x21):
        raise ProxyError(f"version and command 0x{command:02x} are not those of version 2")
    length = _FIXED.size + size
    if length > LONGEST_BLOCK:
        raise ProxyError(f"a header of {length} bytes; {LONGEST_BLOCK} are allowed")
    if family >> 4 > 3 or family & 15 > 2:
        raise ProxyError(f"0x{family:02x} is no family and transport")
    layout = _LAYOUTS.get(family)
    local = command == 0x20
    if layout is not None and not local and size < layout[0]:
        raise ProxyError(f"{size} bytes are too few for addresses of family and transport 0x{family:02x}")
    if len(data) < length:
        return None
    if layout is None or local:  # nothing that a receiver may rely upon, and all of it is skipped
        return Header(length, None)
    _size, domain, source = layout
    if source is None:
        return Header(length, UNIX)
    host, port = source.unpack_from(data, _FIXED.size)
    return Header(length, addresses.join(socket.inet_ntop(domain, host), port))
