"""knote connect"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from knote.cli.arguments import Parser, file, seconds
from knote.cli.say import say

if TYPE_CHECKING:
    import argparse
    import ssl
    from collections.abc import Callable

    from knote import kqueue
    from knote.apps.session import Session

_DESCRIPTION = """\
Talk to a server, over TCP, TLS or a UNIX socket: what comes from standard input is sent, what the server says goes
to standard output, both at once. At the end of the input the sending side is closed (as nc -N does) and the
server's answer awaited to its end. With --listen it is the server, for one client."""

_EXAMPLES = """\
  knote connect 127.0.0.1 7000                  type lines; Ctrl-D ends, Ctrl-C breaks off
  knote connect 127.0.0.1:7000 <file >out       all of the file there, all of the answer here
  printf 'HEAD / HTTP/1.0\\r\\n\\r\\n' | knote connect example.org http
  knote connect ::1 7000                        IPv6, also as [::1]:7000
  knote connect ./socket                        a UNIX socket: a path with a slash, unix:PATH, @ABSTRACT
  knote connect --tls example.org https         who it is, is verified; --ca, --servername, --insecure
  knote connect --listen 127.0.0.1:0 >received  take one connection; it says on which port
  knote connect --listen ./socket --exec 'tr a-z A-Z'
  knote connect --raw 127.0.0.1 2323            every key at once; Ctrl-] ends
  knote connect --timeout 3s --idle 1m HOST PORT
  knote connect --progress HOST PORT <big       how far the sending is

The exit status is 0 when the other side ended the connection in order, 1 when there was none, it was reset or
some of the input could not be sent, 2 for a wrong command line; with --exec it is the command's."""


def parser() -> Parser:
    """What the command line takes."""
    made = Parser("connect", _DESCRIPTION, _EXAMPLES)
    made.add_argument("host", metavar="HOST", help="a name, an address, a path; or HOST:PORT in one word")
    made.add_argument("port", nargs="?", metavar="PORT", help="a number, or a service's name such as http")
    made.add_argument("--listen", action="store_true", help="take one connection there, and make none")
    made.add_argument("--exec", metavar="COMMAND", help="a line for the shell, instead of the terminal")
    made.add_argument("--timeout", metavar="TIME", type=seconds, help="give up without a connection by then")
    made.add_argument("--idle", metavar="TIME", type=seconds, help="give up when no byte came or went for so long")
    made.add_argument("--progress", action="store_true", help="show how far the sending of the input is")
    half = made.add_argument_group("who ends first, as with nc(1)")
    half.add_argument("-N", action="store_true", help="close the sending side at the end of input: the default")
    half.add_argument("--keep-open", action="store_true", help="leave it open: some take that for a hang-up")
    half.add_argument("--whole", action="store_true", help="wait for the end of input, whoever ended before")
    half.add_argument("--leave", action="store_true", help="end with the server, whatever input is still to come")
    half.add_argument("-q", "--linger", metavar="TIME", type=seconds, help="end so long after the end of input")
    mode = made.add_argument_group("terminals").add_mutually_exclusive_group()
    mode.add_argument("--line", action="store_true", help="lines, edited by the terminal: the default")
    mode.add_argument("--raw", action="store_true", help="every key as it is pressed; Ctrl-] ends")
    tls = made.add_argument_group("TLS")
    tls.add_argument("--tls", action="store_true", help="encrypt, and verify who the other side is")
    file(tls.add_argument("--ca", metavar="FILE", help="trust these authorities (PEM) and not the system's"))
    tls.add_argument("--servername", metavar="NAME", help="whom the certificate must name (default: HOST)")
    tls.add_argument("--insecure", action="store_true", help="take any certificate: who listens in, reads all")
    file(tls.add_argument("--cert", metavar="FILE", help="our own certificate (PEM); with --listen it is needed"))
    file(tls.add_argument("--key", metavar="FILE", help="its key, where it is not in the same file"))
    return made


def run(arguments: list[str], closed: frozenset[int]) -> int:
    """The exit status."""
    command = parser()
    asked = command.parse_args(arguments)
    host, port = _place(command, asked)
    _agree(command, asked)
    if 1 in closed and asked.exec is None:
        say("knote connect: standard output is closed: there is no place for what the server says (>/dev/null?)")
        return 1
    from knote.apps.client import ConnectError, Manners, talk
    from knote.apps.legible import harmless, plain

    finish: list[Callable[[], None]] = []

    def attend(queue: kqueue, session: Session) -> None:
        if asked.progress:
            finish.append(_show_progress(queue, session))

    try:
        return talk(
            host,
            port,
            stdin=None if 0 in closed else 0,
            engine=asked.engine,
            timeout=asked.timeout or None,
            listen=_announce if asked.listen else None,
            tls=_context(command, asked),
            tls_name=asked.servername,
            manners=Manners(
                not asked.keep_open, asked.linger, asked.idle or None, asked.whole, False if asked.leave else None
            ),
            raw=asked.raw,
            program=asked.exec,
            attend=attend,
            screen_ended=_close_stdout,
        )
    except BrokenPipeError as error:
        if error.filename is not None and error.filename.startswith("standard output"):
            raise
        say(f"knote connect: {plain(error.filename)}: {error.strerror}")
    except ConnectError as error:
        say(f"knote connect: {harmless(str(error.strerror))}")
    except OSError as error:
        say(f"knote connect: {plain(error.filename or host or port)}: {error.strerror}")
    except ValueError as error:  # the engine
        command.error(str(error))
    finally:
        for end in finish:
            end()
    return 1


def _place(command: Parser, asked: argparse.Namespace) -> tuple[str, str]:
    """HOST and PORT; no host, and a path."""
    from knote.apps import address

    try:
        path = address.unix_path(asked.host)
        if path is not None:
            if asked.port is not None:
                command.error(f"{asked.host} is a UNIX socket, which has no port: leave {asked.port!r} out")
            return "", path
        host, port = (asked.host, asked.port) if asked.port is not None else address.split(asked.host)
    except address.AddressError as error:
        command.error(str(error))
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not port:
        command.error(f"{host or 'HOST'} '': a port is wanted, such as 7000 or http")
    if port.isdigit() and int(port) > 65535:
        command.error(f"port {port}: the highest one is 65535")
    return host or "localhost", port


def _agree(command: Parser, asked: argparse.Namespace) -> None:
    """Say no to options that do not go together."""
    for name in ("ca", "servername", "insecure", "cert", "key"):
        if getattr(asked, name) and not asked.tls:
            command.error(f"--{name} is about TLS: add --tls")
    if asked.tls and asked.listen and not asked.cert:
        command.error("--listen --tls needs --cert FILE: the certificate that clients see")
    if asked.key and not asked.cert:
        command.error("--key needs --cert FILE, the certificate that it belongs to")
    if asked.tls and not asked.listen and not asked.servername and not asked.insecure:
        from knote.apps import address

        if address.unix_path(asked.host) is not None:
            command.error("--tls over a UNIX socket needs --servername NAME (or --insecure): a path names nobody")
    if asked.leave and (asked.whole or asked.exec is not None):
        command.error("--leave is the opposite of --whole, which --exec implies: leave it out")
    if asked.exec is not None and (asked.raw or asked.progress):
        command.error("--exec takes the place of the terminal: leave --raw and --progress out")


def _context(command: Parser, asked: argparse.Namespace) -> ssl.SSLContext | None:
    if not asked.tls:
        return None
    import ssl

    from knote.apps import pem

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if asked.listen else ssl.PROTOCOL_TLS_CLIENT)
    for name in ("ca", "cert", "key"):
        path = getattr(asked, name)
        try:
            if path is not None:
                open(path, "rb").close()  # ssl does not say which of two it has not found
        except OSError as error:
            command.error(f"--{name} {path}: {error.strerror}")
    try:
        if asked.ca is not None:
            context.load_verify_locations(asked.ca)
    except ssl.SSLError as error:
        command.error(f"--ca {asked.ca}: {pem.refused_authorities(error, asked.ca)}")
    try:
        if asked.cert is not None:
            context.load_cert_chain(asked.cert, asked.key)
    except ssl.SSLError as error:
        of, where, words = pem.refused(error, asked.cert, asked.key, "--key")
        command.error(f"--{'key' if of == 'key' and asked.key else 'cert'} {where}: {words}")
    if asked.listen:
        if asked.ca:
            context.verify_mode = ssl.CERT_REQUIRED  # clients must show one, too
        return context
    if asked.insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not asked.ca:
        context.load_default_certs()
    return context


def _close_stdout() -> None:
    # Who reads what the server says should see its end, though we may go on sending.
    null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    os.dup2(null, 1)
    os.close(null)


def _announce(where: str) -> None:
    from knote.apps.legible import plain

    say(f"knote connect: listening on {plain(where)}")


def _show_progress(queue: kqueue, session: Session) -> Callable[[], None]:
    import stat

    from knote.apps.record import Record, Tally
    from knote.cli.status import watch

    st = os.fstat(0)
    size = st.st_size - os.lseek(0, 0, os.SEEK_CUR) if stat.S_ISREG(st.st_mode) else None
    tally = Tally()
    record = Record("sent", size)
    record.begins(lambda: session.sent)
    tally.records.append(record)
    finish = watch(queue, tally, progress=True, as_json=False)
    assert finish is not None
    return finish
