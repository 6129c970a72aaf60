"""knote connect"""

from __future__ import annotations

from knote.cli.arguments import Parser
from knote.cli.say import say

_DESCRIPTION = """\
Talk to a TCP server: what comes from standard input is sent, what the server says goes to standard output, both
at once. At the end of the input the sending side is closed and the server's answer awaited to its end."""

_EXAMPLES = """\
  knote connect 127.0.0.1 7000                  type lines; Ctrl-D ends, Ctrl-C breaks off
  knote connect 127.0.0.1:7000 <file >out       all of the file there, all of the answer here
  printf 'HEAD / HTTP/1.0\\r\\n\\r\\n' | knote connect example.org http
  knote connect ::1 7000                        IPv6, also as [::1]:7000

The exit status is 0 when the server ended the connection in order, 1 when there was none, it was reset or some
of the input could not be sent, 2 for a wrong command line."""


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status."""
    parser = Parser("connect", _DESCRIPTION, _EXAMPLES)
    parser.add_argument("host", metavar="HOST", help="a name or an address; or HOST:PORT in one word")
    parser.add_argument("port", nargs="?", metavar="PORT", help="a number, or a service's name such as http")
    asked = parser.parse_args(arguments)
    from knote.apps import address

    try:
        host, port = (asked.host, asked.port) if asked.port is not None else address.split(asked.host)
    except address.AddressError as error:
        parser.error(str(error))
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if port.isdigit() and int(port) > 65535:
        parser.error(f"port {port}: the highest one is 65535")
    if 1 in closed:
        say("knote connect: standard output is closed: there is no place for what the server says (>/dev/null?)")
        return 1
    from knote.apps.client import ConnectError, talk

    try:
        talk(host, port, stdin=None if 0 in closed else 0, engine=asked.engine)
    except BrokenPipeError as error:
        if error.filename is not None and error.filename.startswith("standard output"):
            raise
        say(f"knote connect: {error.filename}: {error.strerror}")
        return 1
    except ConnectError as error:
        say(f"knote connect: {error.strerror}")
        return 1
    except OSError as error:
        say(f"knote connect: {error.filename or host}: {error.strerror}")
        return 1
    except ValueError as error:  # the engine
        parser.error(str(error))
    return 0
