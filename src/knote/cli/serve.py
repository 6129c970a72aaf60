"""knote serve"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING, Any

from knote.apps import address as addresses
from knote.apps.journal import FORMS
from knote.apps.limits import BUFFER, CONNECTIONS, FIRST_BYTE, IDLE, PER_ADDRESS, Limits
from knote.apps.service import BUILT_IN, ServiceError, describe
from knote.cli.arguments import Parser
from knote.cli.say import say, show

if TYPE_CHECKING:
    from knote.apps.server import Server

_DESCRIPTION = """\
A server of TCP and UNIX sockets on kevent.  It prints its addresses, and serves until Ctrl-C or SIGTERM."""

_SERVICE = "\n".join(f"  {name:<16} {text}" for name, (_kind, text) in BUILT_IN.items())

_EXAMPLES = f"""\
  knote serve                            upper case, on a free port of 127.0.0.1
  knote serve --port 7000 --service echo
  knote serve [::1]:7000 unix:/run/up    IPv6 and a UNIX socket
  knote serve --service mine:reverse     with mine.py here, and in it
                                           def reverse(data): return data[::-1]
  knote serve :7000 --tls-cert chain.pem --tls-key key.pem --log json
  echo hello | knote connect 127.0.0.1 7000     try it from another terminal

services:
{_SERVICE}
  MODULE:CALLABLE  a function from bytes to bytes: it gets what has arrived, and what it returns is sent back;
                   a class whose objects have data(); or an async function of a stream"""


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status: 0 after SIGINT and SIGTERM, 1 when it cannot listen, 2 for a wrong command line."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    try:
        where = _where(parser, asked)
        limits = Limits(
            asked.max_connections, asked.max_per_address, asked.idle_timeout, asked.first_byte_timeout,
            asked.max_buffer,
        )  # fmt: skip
    except ValueError as error:
        parser.error(str(error))
    if asked.tls_cert is None and (asked.tls_key is not None or asked.tls_clients is not None):
        parser.error("--tls-key and --tls-clients need --tls-cert")
    return _serve(parser, asked, where, limits)


def _parser() -> Parser:
    parser = Parser("serve", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add("address", nargs="*", metavar="ADDRESS", help="where to listen: HOST:PORT or unix:PATH")
    add("--host", metavar="HOST", help="a name or an address (default: 127.0.0.1; '' is all)")
    add("--port", metavar="PORT", help="0 ... 65535 (default: 0, any free one)")
    add("--service", metavar="SERVICE", default="upper", help="what to answer (default: upper)")
    more = parser.add_argument_group("limits, 0 for none")
    _number(more, "--max-connections", int, CONNECTIONS, "at a time; who comes then waits")
    more.add_argument(
        "--max-per-address", metavar="N", type=int, default=None,
        help=f"connections of one address (default: {PER_ADDRESS}, and of this machine's own any number)",
    )  # fmt: skip
    _number(more, "--idle-timeout", float, IDLE, "seconds without a byte in either direction")
    _number(more, "--first-byte-timeout", float, FIRST_BYTE, "seconds until a client has sent something")
    _number(more, "--max-buffer", int, BUFFER, "bytes that a client may be owed before it is read from no more")
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--tls-cert", metavar="FILE", help="the server's certificate and its chain, PEM")
    tls.add_argument("--tls-key", metavar="FILE", help="its private key (default: in the same file)")
    tls.add_argument("--tls-clients", metavar="FILE", help="authorities, of one of which a client must have one")
    add("--log", choices=("none", *FORMS), default="none", help="a line for each connection, to stderr")
    return parser


def _number(group: Any, name: str, kind: type, default: float, what: str) -> None:
    group.add_argument(name, metavar="N", type=kind, default=default, help=f"{what} (default: {default:g})")


def _where(parser: Parser, asked: argparse.Namespace) -> list[Any]:
    host, port = asked.host, asked.port
    if asked.address:
        if host is not None or port is not None:
            parser.error("ADDRESS and --host or --port say the same twice: leave one out")
        return [one if one.startswith("unix:") else _split(one) for one in asked.address]
    return [("127.0.0.1" if host is None else host, addresses.number(port or 0))]


def _split(text: str) -> tuple[str, int]:
    host, port = addresses.split(text)
    return host, addresses.number(port)


def _serve(parser: Parser, asked: argparse.Namespace, where: list[Any], limits: Limits) -> int:
    from knote.apps.journal import Journal
    from knote.apps.server import Server
    from knote.apps.signals import StopSignals
    from knote.apps.tls import Tls

    sys.path.insert(0, os.getcwd())  # MODULE:CALLABLE is found where one stands, as with python -m

    def tell(text: str) -> None:
        say(f"knote serve: {text}")

    try:
        server = Server(
            service=asked.service,
            listen=where,
            engine=asked.engine,
            limits=limits,
            tls=None if asked.tls_cert is None else Tls(asked.tls_cert, asked.tls_key, asked.tls_clients),
            tell=tell,
            journal=None if asked.log == "none" else Journal(asked.log),
        )
    except ServiceError as error:
        parser.error(str(error))
    except OSError as error:
        to = f" on {error.filename}" if error.filename else ""
        say(f"knote serve: cannot listen{to}: {error.strerror}{_what_now(error)}")
        return 1
    except ValueError as error:  # the engine, the certificate
        parser.error(str(error))
    with server, StopSignals(server.kqueue, server.stop):
        warning = limits.warning()
        if warning:
            tell(warning)
        _announce(server, asked.service)
        server.run()
    return 0


def _what_now(error: OSError) -> str:
    from knote.apps.listener import EXHAUSTED
    from knote.errors import limit_hint

    if error.errno in EXHAUSTED:
        # A kqueue's own error says it already.
        return "" if "RLIMIT" in str(error.strerror) else limit_hint(error.errno)
    return "; --host and --port choose another address, port 0 is any free one"


def _announce(server: Server, service: str) -> None:
    name = server.address
    if isinstance(name, tuple):
        # What listens on every address is tried on this machine's own.
        to = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name[0], name[0])
        attempt = f"Try it from another terminal:  echo hello | knote connect {to} {name[1]}\n"
    else:
        attempt = ""
    lines = "\n".join(server.addresses)
    try:
        show(f"{lines}\n{service}: {describe(service)}.\n{attempt}Stop it with Ctrl-C.\n")
    except OSError:
        pass  # whoever started it does not listen to what it says; it serves all the same
