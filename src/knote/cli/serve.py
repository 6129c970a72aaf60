"""knote serve"""

from __future__ import annotations

import argparse
import errno
import os
import sys
from typing import TYPE_CHECKING, Any

from knote.apps import address as addresses
from knote.apps.journal import FORMS, Journal
from knote.apps.limits import BUFFER, CONNECTIONS, FIRST_BYTE, IDLE, PER_ADDRESS, Limits
from knote.apps.service import BUILT_IN, LoadError, describe, load
from knote.cli import config, desk, processes
from knote.cli.arguments import Parser, at_least
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
  knote serve --config knote.toml --admin 127.0.0.1:9100      options from a file, metrics and health
  echo hello | knote connect 127.0.0.1 7000     try it from another terminal

services:
{_SERVICE}
  MODULE:CALLABLE  a function from bytes to bytes: it gets what has arrived, and what it returns is sent back;
                   a class whose objects have data(); or an async function of a stream"""

_ENGINE = (
    "ring (io_uring for the server's own work), or the kernel mechanism under the kqueue "
    "(default: $KNOTE_ENGINE, or ring where it can be had)"
)


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status: 0 after SIGINT and SIGTERM, 1 when it cannot listen, 2 for a wrong command line."""
    parser = _parser()
    processes.listen_for_complaints(parser, arguments)
    asked = config.parse(parser, arguments, [("address", "host", "port")])
    try:
        where = _where(asked)
        limits = Limits(
            asked.max_connections, asked.max_per_address, asked.idle_timeout, asked.first_byte_timeout,
            asked.max_buffer,
        )  # fmt: skip
        processes.staffing(asked)
        if asked.tls_cert is None and (asked.tls_key is not None or asked.tls_clients is not None):
            raise ValueError("--tls-key and --tls-clients need --tls-cert")
    except ValueError as error:
        parser.error(config.placed(asked, str(error)))
    plan = _plan(arguments, asked, where, limits)
    return check(plan) if asked.check_config else processes.run(plan)


def _parser() -> Parser:
    parser = Parser("serve", _DESCRIPTION, _EXAMPLES, engine=_ENGINE)
    add = parser.add_argument
    add("address", nargs="*", metavar="ADDRESS", help="where to listen: HOST:PORT or unix:PATH")
    add("--host", metavar="HOST", help="a name or an address (default: 127.0.0.1; '' is all)")
    add("--port", metavar="PORT", type=_port, help="0 ... 65535 (default: 0, any free one)")
    add("--service", metavar="SERVICE", default="upper", help="what to answer (default: upper)")
    more = parser.add_argument_group("limits, 0 for none")
    _number(more, "--max-connections", int, CONNECTIONS, "at a time; who comes then waits")
    more.add_argument(
        "--max-per-address", metavar="N", type=at_least(int, 0), default=None,
        help=f"connections of one address (default: {PER_ADDRESS}, and of this machine's own any number)",
    )  # fmt: skip
    _number(more, "--idle-timeout", float, IDLE, "seconds without a byte in either direction")
    _number(more, "--first-byte-timeout", float, FIRST_BYTE, "seconds until a client has sent something")
    _number(more, "--max-buffer", int, BUFFER, "bytes that a client may be owed before it is read from no more", 1)
    tls = parser.add_argument_group("TLS")
    tls.add_argument("--tls-cert", metavar="FILE", help="the server's certificate and its chain, PEM")
    tls.add_argument("--tls-key", metavar="FILE", help="its private key (default: in the same file)")
    tls.add_argument("--tls-clients", metavar="FILE", help="authorities, of one of which a client must have one")
    more = parser.add_argument_group("behind a proxy")
    more.add_argument(
        "--proxy-from", metavar="NET", action="append", type=_proxy, default=[],
        help="an address or ADDRESS/BITS from where a PROXY header (version 1 or 2) says first whose connection it"
        " is, or 'unix' for UNIX sockets; as often as you like (default: from nowhere)",
    )  # fmt: skip
    add("--log", choices=("none", *FORMS), default="none", help="a line for each connection, to stderr")
    desk.add_options(parser)
    processes.add_options(parser)
    config.add_options(parser)
    return parser


def _proxy(word: str) -> str:
    from knote.apps.proxy import UNIX, net

    try:
        return word if word == UNIX else str(net(word))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _number(group: Any, name: str, kind: type, default: float, what: str, least: int = 0) -> None:
    type_ = at_least(kind, least)
    group.add_argument(name, metavar="N", type=type_, default=default, help=f"{what} (default: {default:g})")


def _port(text: str) -> int:
    try:
        return addresses.number(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _where(asked: argparse.Namespace) -> list[Any]:
    host, port = asked.host, asked.port
    if asked.address:
        if host is not None or port is not None:
            raise ValueError("ADDRESS and --host or --port say the same twice: leave one out")
        try:
            return [_read(one) for one in asked.address]
        except ValueError as error:
            raise ValueError(config.placed(asked, str(error), "address")) from None
    return [("127.0.0.1" if host is None else host, port or 0)]


def _read(text: str) -> str | tuple[str, int]:
    if text.startswith("unix:"):
        addresses.unix_path(text)
        return text
    host, port = addresses.split(text)
    return host, addresses.number(port)


def _plan(words: list[str], asked: argparse.Namespace, where: list[Any], limits: Limits) -> processes.Plan:
    def make(*, worker: int | None = None, **how: Any) -> Server:
        from knote.apps.server import Server

        sys.path.insert(0, os.getcwd())  # MODULE:CALLABLE is found where one stands, as with python -m
        journal = None if asked.log == "none" else Journal(asked.log, worker=worker)
        server = Server(
            service=load(asked.service),
            engine=asked.engine,
            limits=limits,
            proxy_from=asked.proxy_from,
            journal=journal,
            trim=True,
            **how,
        )
        if asked.admin is not None:
            from knote.apps.lag import Lag

            Lag(server.kqueue, server.numbers)
        return server

    def tls() -> Any:
        from knote.apps.tls import Tls

        return None if asked.tls_cert is None else Tls(asked.tls_cert, asked.tls_key, asked.tls_clients)

    def announce(names: list[Any], pages: list[str], master: int = 0) -> None:
        _announce(names, asked.service, pages, master)

    def tell(text: str) -> None:
        if asked.log == "json":
            Journal(asked.log).note(text)
        else:
            say(f"knote serve: {text}")

    def why(error: Exception) -> tuple[int, str]:
        return _why(asked, error)

    return processes.Plan(
        words, asked, where, make=make, tls=tls, announce=announce, why=why, tell=tell, warning=limits.warning()
    )


def check(plan: processes.Plan) -> int:
    """Whether it could be served with these options, but for what only listening shows; the exit status."""
    from knote import kqueue
    from knote.apps import drive

    asked = plan.asked
    sys.path.insert(0, os.getcwd())
    try:
        load(asked.service)
        plan.tls()
        kqueue(engine=drive.choose(asked.engine).engine).close()
        desk.check(asked)
        processes.check_user(asked)
    except (OSError, ValueError) as error:
        parser = _parser()
        parser.error(plan.why(error)[1])
    show(f"{asked.config or 'the command line'}: nothing is wrong with it\n")
    return 0


def _why(asked: argparse.Namespace, error: Exception) -> tuple[int, str]:
    """The exit status, and what to say."""
    if isinstance(error, OSError):
        if not error.filename:  # not an address: the kqueue, its engine, the ring
            return 1, f"{error.strerror}{_limit(error)}"
        where = str(error.filename)
        text = f"cannot listen on {where}: {error.strerror}{_limit(error) or _elsewhere(error, where)}"
        ours = () if where.startswith(desk.OF_PAGES) else ("address", "host", "port")
        return 1, config.placed(asked, text, *ours)
    text = str(error)
    if isinstance(error, LoadError):
        import traceback

        traceback.print_exception(error.__cause__)  # its author needs to see where
        return 1, config.placed(asked, text, "service")
    if text.startswith("unknown engine "):
        from knote.apps import drive

        text += f"; and there is {drive.RING!r}, io_uring, for this program only"
    return 2, config.placed(asked, text, *_blamed(error))


def _blamed(error: Exception) -> list[str]:
    """Options that the text does not name, the likeliest first."""
    kind = type(error).__name__  # whose module is only imported where it is used
    if kind == "TlsError":
        of: str = getattr(error, "of", "")
        return [{"key": "tls_key", "clients": "tls_clients"}.get(of, "tls_cert"), "tls_cert"]
    if str(error).startswith(("engine ", "unknown engine ")):
        return ["engine"]
    return ["service"] if kind == "ServiceError" else []


def _limit(error: OSError) -> str:
    from knote.apps.listener import EXHAUSTED
    from knote.errors import limit_hint

    # A kqueue's own error says it already.
    return "" if error.errno not in EXHAUSTED or "RLIMIT" in str(error.strerror) else limit_hint(error.errno)


def _elsewhere(error: OSError, where: str) -> str:
    from knote.apps.listener import UNIX

    if where.startswith(UNIX):
        taken = "; somebody listens there, or it is a file of another kind"
        return taken if error.errno == errno.EADDRINUSE else ""
    ours = "; --host and --port choose another address, port 0 is any free one"
    return "" if where.startswith(desk.OF_PAGES) else ours


def _announce(names: list[Any], service: str, pages: list[str], master: int) -> None:
    name = names[0]
    if isinstance(name, tuple):
        # What listens on every address is tried on this machine's own.
        to = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(name[0], name[0])
        attempt = f"Try it from another terminal:  echo hello | knote connect {to} {name[1]}\n"
    else:
        attempt = ""
    where = "".join(f"Metrics and health: {one}, /metrics, /healthz, /readyz\n" for one in pages)
    # Of several processes one is to be told: ps(1) shows all of them with the same words.
    if master:
        where += f"Have it take new code:  kill -HUP {master}\n"
    lines = "\n".join(addresses.named(one) for one in names)
    try:
        show(f"{lines}\n{service}: {describe(service)}.\n{attempt}{where}Stop it with Ctrl-C.\n")
    except OSError:
        pass  # whoever started it does not listen to what it says; it serves all the same
