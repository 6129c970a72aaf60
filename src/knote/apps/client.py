"""Stevens' str_cli: what one types goes to the server, what the server says is shown, and neither waits for the
other."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING

from knote import kqueue
from knote.apps import address
from knote.apps.dial import ConnectError, dial, dial_unix
from knote.apps.inlet import Inlet
from knote.apps.line import secured
from knote.apps.outlet import Outlet, file_name
from knote.apps.session import Manners, Session
from knote.apps.signals import HANGUP, StopSignals, awake

if TYPE_CHECKING:
    import socket
    import ssl
    from collections.abc import Callable

    from knote.apps.line import Line

__all__ = ["ConnectError", "Manners", "connect", "talk"]


def connect(queue: kqueue, host: str, port: str | int, *, timeout: float | None = None) -> socket.socket:
    """A connected, non-blocking socket.  No host: port is the path of a UNIX socket.  Raises ConnectError."""
    return dial(queue, host, port, timeout=timeout) if host else dial_unix(str(port), timeout=timeout)


def talk(
    host: str,
    port: str | int,
    *,
    stdin: int | None = 0,
    stdout: int = 1,
    engine: str | None = None,
    timeout: float | None = None,
    listen: Callable[[str], None] | None = None,
    tls: ssl.SSLContext | None = None,
    tls_name: str | None = None,
    manners: Manners = Manners(),  # noqa: B008  # a tuple, and never changes
    raw: bool = False,
    program: str | None = None,
    attend: Callable[[kqueue, Session], None] | None = None,
    screen_ended: Callable[[], None] | None = None,
) -> int:
    """Connect, send what comes from stdin, write to stdout what the server says, until the server's end.

    At the end of stdin the connection is shut down for writing and read on.  Both directions run at once, each
    with one buffer, so that any amount goes through however slow the other end is.
    host: empty for a UNIX socket, whose path is then the port.
    stdin: a descriptor; None for nothing to send.  How the descriptors block is not changed.
    timeout: seconds until there is a connection, TLS's handshake not counted, which may take as long again.
    listen: do not connect but take the first connection that comes; it gets the address that is listened on.
    tls: says whom to trust; tls_name: whom the certificate must name, the host unless it is given.
    raw: every key of the terminal that stdin is goes through, and Ctrl-] is the end.
    program: a line for the shell, in the place of stdin and stdout.
    manners: without a word about `stay`, it is so unless stdin is a terminal.
    attend: gets the queue and the session before anything goes, to add knotes of its own.
    screen_ended: is called when nothing more goes to stdout, though our input may not be at its end.
    Returns the program's exit status; 128 and a signal's number if that ended a raw terminal, or the wait for
        somebody to come; else 0.
    Raises ConnectError; OSError with the filename of the end that failed: standard input or output, or
    'HOST:PORT', also when the server closed before all of stdin was sent.
    """
    with ExitStack() as stack:
        try:
            queue = stack.enter_context(kqueue(engine=engine))
        except OSError as error:  # is about the engine, or a limit, and not about who is called
            raise ConnectError(error.errno, error.strerror) from None
        stack.enter_context(awake(queue))  # Ctrl-C is heard at any moment
        if program is None:
            screen = _screen(stack, stdout)
            keyboard = None if stdin is None else _keyboard(stack, stdin, raw=raw)
        if listen is None:
            sock = connect(queue, host, port, timeout=timeout)
            name = address.join(host, port) if host else str(port)
        else:
            from knote.apps.answer import Stopped, answer

            try:
                sock, name = answer(queue, host, port, timeout=timeout, announce=listen)
            except Stopped as stopped:
                return 128 + stopped.number
        stack.enter_context(sock)
        line = secured(queue, sock, name, tls, tls_name or host or None, timeout, server=listen is not None)
        if program is not None:
            return _run(queue, line, program, manners, attend)
        if manners.stay is None and stdin is not None and not os.isatty(stdin):
            manners = manners._replace(stay=True)
        keys = raw and stdin is not None and os.isatty(stdin)
        if keys and manners.linger is None:
            # The end of the keys is a person's who wants to leave, and has no Ctrl-C.
            manners = manners._replace(linger=0.0)

        def ended() -> None:
            screen.close()
            if screen_ended is not None:
                screen_ended()

        session = Session(queue, line, keyboard, screen, manners, ended)
        if attend is not None:
            attend(queue, session)
        if not keys:
            session.run()
            return 0
        from knote.apps.keys import Keys

        assert isinstance(keyboard, Keys)
        with StopSignals(queue, session.stop, HANGUP) as signals, keyboard:
            session.run()
        return 128 + signals.number if signals.number else 0


def _screen(stack: ExitStack, fd: int) -> Outlet:
    where = file_name(fd)
    screen = Outlet(fd, f"standard output ({where})" if where.startswith("/") else "standard output")
    stack.callback(screen.close)
    return screen


def _keyboard(stack: ExitStack, fd: int, *, raw: bool) -> Inlet:
    keyboard: Inlet
    if raw and os.isatty(fd):
        from knote.apps.keys import Keys

        keyboard = Keys(fd, "standard input")
    else:
        keyboard = Inlet(fd, "standard input")
    stack.callback(keyboard.close)
    return keyboard


def _run(
    queue: kqueue,
    line: Line,
    program: str,
    manners: Manners,
    attend: Callable[[kqueue, Session], None] | None,
) -> int:
    from knote.apps.command import Command

    with Command(program) as command:
        screen = Outlet(command.stdin, f"the input of {program!r}")

        def ended() -> None:
            screen.close()
            command.close_stdin()

        keyboard = Inlet(command.stdout, f"the output of {program!r}")
        try:
            session = Session(queue, line, keyboard, screen, manners._replace(whole=True), ended)
            if attend is not None:
                attend(queue, session)
            session.run()
        finally:
            screen.close()
            keyboard.close()
        return command.status()
