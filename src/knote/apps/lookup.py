"""The addresses of a name, asked for by a process of its own.

getaddrinfo(3) waits for name servers, as long as resolv.conf(5) says, and nothing ends it: no timeout, and no
Ctrl-C either, since CPython's handlers run only when it returns.  A thread that waits in it cannot be ended and
would outlive the program's interest in it; a process can, and the pipe that it answers into is one more descriptor
of the queue.
"""

from __future__ import annotations

import marshal
import os
import socket
import subprocess
import sys
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from knote import EV_ADD, EVFILT_READ, NOTE_NODATA, kevent, kqueue
from knote.apps.handler import Handler, deliver

if TYPE_CHECKING:
    from collections.abc import Callable

Found = list[Any] | OSError
"""What getaddrinfo(3) says: addresses, or socket.gaierror."""

CHILD: Final = """
import _socket, marshal, posix, sys
posix.closerange(3, 4096)
questions, answers = sys.stdin.buffer, sys.stdout.buffer
while True:
    try:
        host, port, flags = marshal.load(questions)
    except (EOFError, KeyboardInterrupt):
        posix._exit(0)
    try:
        said = _socket.getaddrinfo(host, port, 0, _socket.SOCK_STREAM, 0, flags)
    except OSError as error:
        said = (error.errno, error.strerror)
    answers.write(marshal.dumps(said))
    answers.flush()
"""
"""Starts in the time that Python takes at least; socket would double it.  Both ends are one interpreter, so what
marshal writes the other one reads."""


def known(host: str, port: str | int, flags: int = 0) -> list[Any] | None:
    """As getaddrinfo(3), of an address in numbers, which takes no time; None for a name.  socket.gaierror: no
    such service.  UnicodeError: no name that a host can have."""
    try:
        # Bytes: CPython would load its IDNA codec for a str, whatever is in it.
        return list(
            socket.getaddrinfo(_encoded(host), port, 0, socket.SOCK_STREAM, 0, flags | socket.AI_NUMERICHOST)
        )
    except socket.gaierror as error:
        if error.errno != socket.EAI_NONAME:
            raise
        return None


def find(queue: kqueue, host: str, port: str | int, end: float | None = None, flags: int = 0) -> list[Any]:
    """As getaddrinfo(3), until `end` by time.monotonic().  The queue has no other knotes.

    Raises socket.gaierror, UnicodeError; TimeoutError; OSError when there is no process to be had.
    """
    found: Found | None = known(host, port, flags)
    if found is None:
        with Resolver(queue) as resolver:
            answers: list[Found] = []
            resolver.ask(host, port, answers.append, flags)
            while not answers:
                events = queue.control(None, 1, None if end is None else max(0.0, end - monotonic()))
                if not events:
                    raise TimeoutError
                deliver(events)
            [found] = answers
    if isinstance(found, OSError):
        raise found
    return found


class Resolver(Handler):
    """Asks one question at a time; the process is started for the first one and kept for the next.  Without an
    interpreter to start (sys.executable is empty where Python is embedded) it asks here, and waits.

    close() ends the process, whatever it does.  One that is left behind by SIGKILL ends with its answer.
    """

    def __init__(self, queue: kqueue) -> None:
        self._queue = queue
        self._process: subprocess.Popen[bytes] | None = None
        self._tell: Callable[[Found], None] | None = None
        self._answer = b""

    @property
    def busy(self) -> bool:
        """Whether an answer is due."""
        return self._tell is not None

    def ask(self, host: str, port: str | int, tell: Callable[[Found], None], flags: int = 0) -> None:
        """tell() gets the answer, from the queue's loop.  Raises UnicodeError; OSError: no process can be made."""
        name = _encoded(host)
        if not sys.executable:
            try:
                tell(list(socket.getaddrinfo(name, port, 0, socket.SOCK_STREAM, 0, flags)))
            except socket.gaierror as error:
                tell(error)
            return
        if self._process is None:
            self._begin()
        assert self._process is not None and self._process.stdin is not None
        self._answer = b""
        self._tell = tell
        try:
            os.write(self._process.stdin.fileno(), marshal.dumps((name, port, int(flags))))
        except BrokenPipeError:
            pass  # it has ended, which its other pipe tells

    def _begin(self) -> None:
        # Isolated and without site: nothing of the user's is run, and it starts in half the time.
        pipe = subprocess.PIPE
        self._process = process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", CHILD],
            bufsize=0, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        assert process.stdout is not None
        self._queue.control([kevent(process.stdout, EVFILT_READ, EV_ADD, NOTE_NODATA, 0, self)], 0)

    def ready(self, event: kevent) -> None:
        """Handler.ready(): a piece of the answer, or the process has ended."""
        if self._process is None:
            return  # closed by what was told before, in the same batch
        assert self._process.stdout is not None
        data = os.read(self._process.stdout.fileno(), 65536)
        said: Any = (socket.EAI_AGAIN, "the process that looks names up has ended")
        if data:
            self._answer += data
            try:
                said = marshal.loads(self._answer)
            except EOFError:
                return  # a long list; the rest is on its way
        else:
            tell = self._tell
            self.close()
            self._tell = tell
        tell, self._tell = self._tell, None
        if tell is not None:
            tell(said if isinstance(said, list) else socket.gaierror(*said))

    def close(self) -> None:
        """No answer is wanted any more."""
        process, self._process = self._process, None
        self._tell = None
        if process is not None:
            assert process.stdin is not None and process.stdout is not None
            process.kill()
            process.stdin.close()
            process.stdout.close()  # and with it goes the knote
            process.wait()

    def __enter__(self) -> Resolver:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()


def _encoded(host: str) -> bytes:
    # The codec takes a while to load, and is right about what is no name.  RFC 1035, 2.3.4
    simple = host.isascii() and all(0 < len(label) < 64 for label in host.removesuffix(".").split("."))
    return host.encode() if simple else host.encode("idna")
