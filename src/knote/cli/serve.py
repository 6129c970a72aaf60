"""knote serve"""

from __future__ import annotations

import os
import sys

from knote.apps import address as addresses
from knote.apps.service import SERVICES, ServiceError, describe
from knote.cli.arguments import Parser
from knote.cli.say import say, show

_DESCRIPTION = """\
A TCP server on kevent.  It prints its address, and serves until Ctrl-C or SIGTERM."""

_SERVICE = "\n".join(f"  {name:<16} {text}" for name, (_function, text) in SERVICES.items())

_EXAMPLES = f"""\
  knote serve                            upper case, on a free port of 127.0.0.1
  knote serve --port 7000 --service echo
  knote serve [::1]:7000                 IPv6
  knote serve --service mine:reverse     with mine.py here, and in it
                                           def reverse(data): return data[::-1]
  echo hello | knote connect 127.0.0.1 7000     try it from another terminal

services:
{_SERVICE}
  MODULE:CALLABLE  a function from bytes to bytes: it gets what has arrived, and what it returns is sent back"""


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status: 0 after SIGINT and SIGTERM, 1 when it cannot listen, 2 for a wrong command line."""
    parser = Parser("serve", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("address", nargs="?", metavar="HOST:PORT", help="where to listen; or --host and --port")
    parser.add_argument("--host", metavar="HOST", help="a name or an address (default: 127.0.0.1; '' is all)")
    parser.add_argument("--port", metavar="PORT", help="0 ... 65535 (default: 0, any free one)")
    parser.add_argument("--service", metavar="SERVICE", default="upper", help="what to answer (default: upper)")
    asked = parser.parse_args(arguments)
    host, port = asked.host, asked.port
    if asked.address is not None:
        if host is not None or port is not None:
            parser.error("HOST:PORT and --host or --port say the same twice: leave one out")
        try:
            host, port = addresses.split(asked.address)
        except addresses.AddressError as error:
            parser.error(str(error))
    host = "127.0.0.1" if host is None else host
    try:
        number = addresses.number(port or 0)
    except addresses.AddressError as error:
        parser.error(str(error))
    return _serve(parser, host, number, asked.service, asked.engine)


def _serve(parser: Parser, host: str, port: int, service: str, engine: str | None) -> int:
    from knote.apps.server import Server
    from knote.apps.signals import StopSignals

    sys.path.insert(0, os.getcwd())  # MODULE:CALLABLE is found where one stands, as with python -m
    try:
        server = Server(host, port, service, engine=engine, tell=lambda text: say(f"knote serve: {text}"))
    except ServiceError as error:
        parser.error(str(error))
    except OSError as error:
        say(f"knote serve: cannot listen on {addresses.join(host, port)}: {error.strerror}{_what_now(error)}")
        return 1
    except ValueError as error:  # the engine
        parser.error(str(error))
    with server, StopSignals(server.kqueue, server.stop):
        _announce(server.address, service)
        server.run()
    return 0


def _what_now(error: OSError) -> str:
    from knote.apps.listener import EXHAUSTED
    from knote.errors import limit_hint

    if error.errno in EXHAUSTED:
        # A kqueue's own error says it already.
        return "" if "RLIMIT" in str(error.strerror) else limit_hint(error.errno)
    return "; --host and --port choose another address, port 0 is any free one"


def _announce(sockname: tuple[str, int], service: str) -> None:
    host, port = sockname[:2]
    # What listens on every address is tried on this machine's own.
    to = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    try:
        show(
            f"{addresses.text(sockname)}\n"
            f"{service}: {describe(service)}.\n"
            f"Try it from another terminal:  echo hello | knote connect {to} {port}\n"
            "Stop it with Ctrl-C.\n"
        )
    except OSError:
        pass  # whoever started it does not listen to what it says; it serves all the same
