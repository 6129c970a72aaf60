"""What a server does with the bytes: a service, by name.  It has one of three shapes, or is built in."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from typing import Any, Final, NamedTuple

CALL: Final = 0
"""A function from bytes to bytes."""
PROTOCOL: Final = 1
"""An object for each connection, that is told what happens: connected(), data(), eof(), closed(), can_write().  An
async function over a stream is run by one."""
UPPER: Final = 2
ECHO: Final = 3
DISCARD: Final = 4
CHARGEN: Final = 5
DAYTIME: Final = 6


class Service(NamedTuple):
    """kind: one of the numbers above.  make: the function, or what makes a connection's object; None where it is
    built in."""

    kind: int
    make: Callable[..., Any] | None
    name: str


BUILT_IN: Final[dict[str, tuple[int, str]]] = {
    "upper": (UPPER, "what you send comes back in upper case"),
    "echo": (ECHO, "what you send comes back"),
    "discard": (DISCARD, "what you send is read and thrown away"),
    "chargen": (CHARGEN, "characters without end, as fast as you read them (RFC 864)"),
    "daytime": (DAYTIME, "the date and the time, then the end (RFC 867)"),
}
"""The built-in services: which, and what it does in words."""


class ServiceError(ValueError):
    """No such service; the text says which there are, or what is wrong with the one that was named."""


class LoadError(ServiceError):
    """The service's own code raised when it was loaded: __cause__ has the traceback."""


def load(name: Any) -> Service:
    """find(), in which what the service's own code raises is a LoadError."""
    try:
        return find(name)
    except ServiceError:
        raise
    except (Exception, SystemExit) as error:
        import traceback

        words = "".join(traceback.format_exception_only(error)).strip().splitlines()[-1]
        raise LoadError(f"service {name!r} cannot be loaded: {words}") from error


def find(name: Any) -> Service:
    """The service of that name: a built-in one, or what 'module:callable' leads to.

    A callable is taken as it is: a function of bytes, an async function of a Stream, or a class whose objects have
    data().  Raises ServiceError when there is none.
    """
    if isinstance(name, Service):
        return name
    if not isinstance(name, str):
        if not callable(name):
            raise ServiceError(f"a service is a name, a function or a protocol's class, not {name!r}")
        return _shaped(name, getattr(name, "__name__", repr(name)))
    if name in BUILT_IN:
        return Service(BUILT_IN[name][0], None, name)
    module, colon, path = name.partition(":")
    if not (module and colon and path) or module.startswith("."):
        raise ServiceError(
            f"unknown service {name!r}: choose {', '.join(BUILT_IN)}, or name a function of bytes, an async "
            "function of a stream or a protocol's class as module:callable"
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
        raise ServiceError(f"service {name!r}: {path} is a {type(found).__name__}, and must be callable")
    return _shaped(found, name)


def describe(name: str) -> str:
    """What the service does, in words."""
    return BUILT_IN[name][1] if name in BUILT_IN else "what you send goes through it, and its answer comes back"


def _shaped(found: Any, name: str) -> Service:
    if _is(inspect.isasyncgenfunction, found) or _is(inspect.isgeneratorfunction, found):
        raise ServiceError(
            f"service {name!r} yields what it should return, or, as an async function, await stream.write(...)"
        )
    if _is(inspect.iscoroutinefunction, found):
        from knote.apps.stream import Conversation

        return Service(PROTOCOL, lambda: Conversation(found), name)
    if isinstance(found, type):
        if not callable(getattr(found, "data", None)):
            raise ServiceError(f"service {name!r} is a class without data(): a protocol's class has it")
        return Service(PROTOCOL, found, name)
    return Service(CALL, found, name)


def _is(kind: Callable[[Any], bool], found: Any) -> bool:
    """Of a function, and of an object that can be called like one."""
    return kind(found) or (not isinstance(found, type) and kind(found.__call__))
