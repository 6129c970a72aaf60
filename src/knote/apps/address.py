"""HOST:PORT, read and written: [::1]:7000, 127.0.0.1:7000, example.org:http; and the paths of UNIX sockets."""

from __future__ import annotations

from typing import Any


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
    if word.startswith("unix:"):
        path = word.removeprefix("unix:")
        if not path:
            raise AddressError("unix: has no path: write unix:PATH, or unix:@NAME for an abstract one")
        return path
    return word if "/" in word or word.startswith("@") else None


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


def join(host: str, port: str | int) -> str:
    """'127.0.0.1:7000', '[::1]:7000'."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def text(sockname: Any) -> str:
    """What getsockname() and getpeername() say, as HOST:PORT."""
    if isinstance(sockname, bytes):
        return "@" + sockname[1:].decode(errors="backslashreplace")
    return join(sockname[0], sockname[1]) if isinstance(sockname, tuple) else str(sockname)
