"""HOST:PORT, read and written: [::1]:7000, 127.0.0.1:7000, example.org:http; and the paths of UNIX sockets."""

from __future__ import annotations

import os
from typing import Any, Final

LONGEST: Final = 107
"""Bytes of a UNIX socket's path: sun_path has 108, and a NUL at the end.  unix(7)"""


class AddressError(ValueError):
    """Text that is no HOST:PORT; the message says what is missing."""


def split(text: str) -> tuple[str, str]:
    """('127.0.0.1', '7000') of '127.0.0.1:7000'; an IPv6 host stands in brackets.  The port may be a name."""
    host, colon, port = text.rpartition(":")
    if not colon:
        raise AddressError(f"{text!r} has no port: write HOST:PORT, such as 127.0.0.1:7000 or [::1]:7000")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise AddressError(f"{text!r}: an IPv6 address stands in brackets: [{host}]:{port or 'PORT'}")
    if not port:
        raise AddressError(f"{text!r} has no port after the colon")
    return host, port


def unix_path(word: str) -> str | None:
    """The path in 'unix:PATH', or a word with a slash in it, or '@NAME'; None for what can be no path."""
    path = word.removeprefix("unix:")
    if not word.startswith("unix:") and "/" not in word and not word.startswith("@"):
        return None
    if "://" in word and not word.startswith("unix:"):
        raise AddressError(f"{word!r} is a URL: write HOST:PORT, such as example.org:80")
    if not path:
        raise AddressError("unix: has no path: write unix:PATH, or unix:@NAME for an abstract one")
    if "\0" in path:
        raise AddressError(f"{word!r}: no path has a NUL in it")
    if len(os.fsencode(path)) > LONGEST + path.startswith("@"):
        raise AddressError(f"{word!r}: the path of a UNIX socket has no more than {LONGEST} bytes")
    return path


def unix_name(path: str) -> str | bytes:
    """What the socket calls take: an abstract name begins with a NUL, written @.  unix(7)"""
    return b"\0" + path[1:].encode() if path.startswith("@") else path


def number(port: str | int) -> int:
    """A port to listen on: 0 ... 65535."""
    try:
        value = int(port)
    except ValueError:
        value = -1
    if not 0 <= value <= 65535:
        raise AddressError(f"port {port!r}: must be a number from 0 (any free one) to 65535")
    return value


def named(sockname: Any) -> str:
    """What getsockname() says of a listening socket, as it is written to listen there: HOST:PORT, unix:PATH."""
    return text(sockname) if isinstance(sockname, tuple) else f"unix:{text(sockname)}"


def join(host: str, port: str | int) -> str:
    """'127.0.0.1:7000', '[::1]:7000'."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def text(sockname: Any) -> str:
    """What getsockname() and getpeername() say, as HOST:PORT."""
    if isinstance(sockname, bytes):
        return "@" + sockname[1:].decode(errors="backslashreplace")
    if not isinstance(sockname, tuple):
        return str(sockname)
    host, port = sockname[:2]
    # Of IPv4, on a socket of IPv6 that takes both: nobody knows his address by that name.
    return join(host.removeprefix("::ffff:") if "." in host else host, port)
