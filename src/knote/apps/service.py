"""What a server does with the bytes: a function from bytes to bytes, by name."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, Final

Service = Callable[[bytes], Any]
"""Takes what has arrived, never empty; returns what goes back: bytes, or nothing."""


def _echo(data: bytes) -> bytes:
    return data


def _discard(data: bytes) -> None:
    return None


SERVICES: Final[dict[str, tuple[Service, str]]] = {
    "upper": (bytes.upper, "what you send comes back in upper case"),
    "echo": (_echo, "what you send comes back"),
    "discard": (_discard, "what you send is read and thrown away"),
}
"""The built-in services: the function, and what it does in words."""


class ServiceError(ValueError):
    """No such service; the text says which there are, or what is wrong with the one that was named."""


def find(name: str | Service) -> Service:
    """The service of that name: a built-in one, or the function that 'module:callable' leads to.

    A callable is taken as it is.  Raises ServiceError when there is none.
    """
    if not isinstance(name, str):
        if not callable(name):
            raise ServiceError(f"a service is a name or a function of bytes, not {name!r}")
        return _plain(name, getattr(name, "__name__", repr(name)))
    if name in SERVICES:
        return SERVICES[name][0]
    module, colon, path = name.partition(":")
    if not (module and colon and path):
        raise ServiceError(
            f"unknown service {name!r}: choose {', '.join(SERVICES)}, or name a function of bytes as "
            "module:callable"
        )
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and something that it imports is not
        raise ServiceError(f"service {name!r}: there is no module {error.name!r} on sys.path") from None
    for part in path.split("."):
        if not hasattr(found, part):
            raise ServiceError(f"service {name!r}: {found!r} has no {part!r}")
        found = getattr(found, part)
    if not callable(found):
        raise ServiceError(f"service {name!r}: {path} is a {type(found).__name__}, and must be a function")
    return _plain(found, name)


def describe(name: str) -> str:
    """What the service does, in words."""
    return SERVICES[name][1] if name in SERVICES else "what you send goes through it, and its answer comes back"


def _plain(function: Service, name: str) -> Service:
    if inspect.iscoroutinefunction(function):
        raise ServiceError(f"service {name!r} is async: it must be a plain function from bytes to bytes")
    return function
