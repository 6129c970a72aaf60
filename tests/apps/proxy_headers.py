"""PROXY headers as a proxy sends them."""

from __future__ import annotations

import socket
import struct
from typing import Final

SIGNATURE: Final = b"\r\n\r\n\0\r\nQUIT\n"
V4: Final = ("192.0.2.1", "198.51.100.1", 5000, 443)
LONG: Final = "ffff:" * 7 + "ffff"
V6: Final = ("2001:db8::1", "2001:db8::2", 5000, 443)


def line(source: str, destination: str, port: int, to: int) -> bytes:
    """Version 1."""
    word = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {word} {source} {destination} {port} {to}\r\n".encode()


def block(family: int, body: bytes, *, command: int = 0x21, size: int | None = None) -> bytes:
    """Version 2."""
    return struct.pack("!12sBBH", SIGNATURE, command, family, len(body) if size is None else size) + body


def tlv(kind: int, value: bytes) -> bytes:
    """What may follow the addresses."""
    return struct.pack("!BH", kind, len(value)) + value


def stream(
    source: str, destination: str, port: int, to: int, *, more: bytes = b"", transport: int = 1
) -> bytes:
    """Version 2 with addresses, then TLVs."""
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    hosts = b"".join(socket.inet_pton(family, each) for each in (source, destination))
    return block((0x20 if ":" in source else 0x10) | transport, hosts + struct.pack("!HH", port, to) + more)


LOCAL: Final = block(0x00, b"", command=0x20)
UNIX: Final = block(0x31, b"/run/client".ljust(108, b"\0") + b"/run/server".ljust(108, b"\0"))
MUCH: Final = tlv(0x01, b"h2") + tlv(0x20, b"\x01\0\0\0\0" + tlv(0x21, b"TLSv1.3")) + tlv(0x05, b"i" * 128)
GOOD: Final = {
    "v1 TCP4": (line(*V4), "192.0.2.1:5000"),
    "v1 TCP6": (line(*V6), "[2001:db8::1]:5000"),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", None),
    "v1 UNKNOWN and more": (b"PROXY UNKNOWN ffff:: ffff:: 65535 65535\r\n", None),
    "v1 longest": (line(LONG, LONG, 65535, 65535), f"[{LONG}]:65535"),
    "v2 TCP4": (stream(*V4), "192.0.2.1:5000"),
    "v2 TCP6": (stream(*V6), "[2001:db8::1]:5000"),
    "v2 UDP4": (stream(*V4, transport=2), "192.0.2.1:5000"),
    "v2 TLVs": (stream(*V4, more=MUCH), "192.0.2.1:5000"),
    "v2 TLVs v6": (stream(*V6, more=MUCH), "[2001:db8::1]:5000"),
    "v2 broken TLVs": (stream(*V4, more=b"\xff\xff\xff"), "192.0.2.1:5000"),
    "v2 longest": (stream(*V4, more=bytes(4096 - 16 - 12)), "192.0.2.1:5000"),
    "v2 UNIX": (UNIX, "unix"),
    "v2 LOCAL": (LOCAL, None),
    "v2 LOCAL with addresses": (block(0x11, bytes(12), command=0x20), None),
    "v2 LOCAL, too few": (block(0x11, bytes(3), command=0x20), None),
    "v2 UNSPEC": (block(0x00, b""), None),
    "v2 UNSPEC with more": (block(0x00, MUCH), None),
    "v2 UNSPEC stream": (block(0x01, bytes(7)), None),
    "v2 TCP unspec": (block(0x10, bytes(12)), None),
}
"""Headers, and the client's address of each."""

BAD: Final = {
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "no PROXY header"),
    "TLS": (b"\x16\x03\x01\x02\x00\x01", "no PROXY header"),
    "one byte": (b"x", "no PROXY header"),
    "lower case": (b"proxy TCP4", "no PROXY header"),
    "almost a signature": (SIGNATURE[:-1] + b"!", "no PROXY header"),
    "empty lines": (b"\r\n\r\nGET", "no PROXY header"),
    "v1 no end": (b"PROXY TCP4 " + b"1" * 200, "more than 107"),
    "v1 just too long": (b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "more than 107"),
    "v1 nothing": (b"PROXY \r\n", "is not PROXY TCP4"),
    "v1 family": (b"PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n", "is not PROXY TCP4"),
    "v1 few words": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n", "is not PROXY TCP4"),
    "v1 two spaces": (b"PROXY TCP4  1.2.3.4 1.2.3.4 1 2\r\n", "is not PROXY TCP4"),
    "v1 wrong family": (b"PROXY TCP4 ::1 ::1 1 2\r\n", "'::1' is no address"),
    "v1 name": (b"PROXY TCP4 localhost 1.2.3.4 1 2\r\n", "no address"),
    "v1 short address": (b"PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n", "no address"),
    "v1 destination": (b"PROXY TCP4 1.2.3.4 x 1 2\r\n", "'x' is no address"),
    "v1 beyond ASCII": (b"PROXY TCP4 \xff 1.2.3.4 1 2\r\n", "no address"),
    "v1 port": (b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 2\r\n", "'65536' is no port"),
    "v1 sign": (b"PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n", "no port"),
    "v1 second port": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2x\r\n", "'2x' is no port"),
    "v1 bare newline": (b"PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n" + b"x" * 100, "more than 107"),
    "v2 version": (block(0x11, bytes(12), command=0x11), "0x11"),
    "v2 command": (block(0x11, bytes(12), command=0x22), "0x22"),
    "v2 family": (block(0x41, bytes(12)), "0x41 is no family"),
    "v2 transport": (block(0x13, bytes(12)), "0x13 is no family"),
    "v2 too few": (block(0x11, bytes(11)), "11 bytes are too few"),
    "v2 too few for UNIX": (block(0x31, bytes(215)), "too few"),
    "v2 too long": (block(0x11, b"", size=4097 - 16), "4097 bytes"),
    "v2 as long as it can be": (block(0x00, b"", size=65535), "65551 bytes"),
}
"""What is none, and some of the words that say so."""
