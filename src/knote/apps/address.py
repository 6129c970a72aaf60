"""HOST:PORT, read and written: [::1]:7000, 127.0.0.1:7000, example.org:http."""

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
    return join(sockname[0], sockname[1]) if isinstance(sockname, tuple) else str(sockname)
