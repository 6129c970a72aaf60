"""Conditions about a server: it takes connections, or it does not."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, Final

from knote import (
    EV_ADD,
    EV_CLEAR,
    EV_DISABLE,
    EV_ENABLE,
    EV_EOF,
    EV_ONESHOT,
    EVFILT_READ,
    EVFILT_TIMER,
    EVFILT_VNODE,
    EVFILT_WRITE,
    kevent,
)  # fmt: skip
from knote.apps import address, lookup
from knote.apps.conditions.condition import Condition, ConditionError
from knote.apps.conditions.way import Way

FIRST_MS: Final = 10
NEAR_MS: Final = 100
FAR_MS: Final = 1000
"""Milliseconds between two attempts: the first pause, doubled up to the longest, NEAR_MS on this machine.  No
kernel tells anybody that somebody listens, so this one condition asks again and again; how each attempt ends, the
kernel tells, and that a UNIX socket's path begins to exist."""
PATIENCE_MS: Final = 5000
"""An attempt that nobody answers ends then."""
_LOOKS: Final = 100
"""At directories that change while they are looked at."""
_PASSING: Final = (errno.EAGAIN, errno.EINTR)


class Peer(Condition):
    """HOST:PORT or a UNIX socket's path; kind is "connect" or "no-connect"."""

    def __init__(self, text: str, kind: str) -> None:
        super().__init__(text)
        self.kind = kind
        try:
            path = address.unix_path(text)
            self._path = None if path is None else address.unix_name(path)
            self._host, self._port = ("", "") if path is not None else address.split(text)
        except address.AddressError as error:
            raise ConditionError(f"--{kind} {error}") from None
        if self._port.isdigit() and int(self._port) > 65535:
            raise ConditionError(f"--{kind} {text}: port {self._port}: the highest one is 65535")
        self._pause = FIRST_MS
        self._sock: socket.socket | None = None
        self._held: socket.socket | None = None
        self._ways: list[Any] = []
        self._resolver: lookup.Resolver | None = None
        self._way: Way | None = None
        self._absent = False
        self._was: bool | None = None
        self._why = ""

    def start(self) -> None:
        """Condition.start()"""
        self._attempt()

    def _attempt(self) -> None:
        # The name is looked up each time: it may begin to exist only now.
        if self._path is not None:
            self._ways = [(socket.AF_UNIX, self._path)]
            self._next()
            return
        try:
            found: lookup.Found | None = lookup.known(self._host, self._port)
        except OSError as error:
            found = error
        except UnicodeError as error:
            raise ConditionError(f"--{self.kind} {self.subject}: no valid host name ({error})") from None
        if found is not None:
            self._found(found)
            return
        if self._resolver is None:
            self._resolver = lookup.Resolver(self.queue)
        self._alarm(PATIENCE_MS)
        self._resolver.ask(self._host, self._port, self._found)

    def _found(self, found: lookup.Found) -> None:
        if isinstance(found, OSError):
            if found.errno in (socket.EAI_SERVICE, socket.EAI_NONAME) and not self._port.isdigit():
                try:
                    socket.getservbyname(self._port)
                except OSError:
                    raise ConditionError(
                        f"--{self.kind} {self.subject}: {self._port!r} is neither a port nor a service's name"
                    ) from None
            self._why = found.strerror or str(found)
            found = []
        self._ways = [(answer[0], answer[4]) for answer in found]
        self._next()

    def _unknown(self) -> None:
        # Nobody has said in all that time what the name means.
        assert self._resolver is not None
        self._resolver.close()
        self._why = f"no answer about the name within {PATIENCE_MS / 1000:g} s"
        self._judge(False)

    def _next(self) -> None:
        # Each address of the name, one after the other; -1 of none of them.
        while self._ways:
            family, where = self._ways.pop(0)
            self._sock = sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
            number = sock.connect_ex(where)
            if number == errno.EINPROGRESS:
                self.queue.control([kevent(sock, EVFILT_WRITE, EV_ADD | EV_ONESHOT, udata=self)], 0)
                self._alarm(PATIENCE_MS)
                return
            if self._decided(number):
                return
        self._judge(False)

    def _decided(self, number: int) -> bool:
        # The attempt in hand has ended so; whether no other address need be asked.
        sock, self._sock = self._sock, None
        assert sock is not None
        self._absent = number == errno.ENOENT
        # A full backlog of a UNIX socket is somebody who listens.  unix(7)
        if number == 0 or (number in _PASSING and self._path is not None):
            self._let_go()
            self._held = sock
            self._judge(True)
            return True
        sock.close()
        self._why = os.strerror(number)
        return False

    def _judge(self, there: bool) -> None:
        wanted = there == (self.kind == "connect")
        if wanted and not self._was:
            self.tell("answers" if there else f"does not answer ({self._why})")
        changed = self._was is not wanted
        self._was = wanted
        if there and self._held is not None:
            # While it is held, its end tells at once that the server may have gone.
            self.queue.control([kevent(self._held, EVFILT_READ, EV_ADD | EV_CLEAR, udata=self)], 0)
        else:
            self._let_go()
        self._pause = FIRST_MS if changed else min(self._pause * 2, self._longest())
        if not there:
            self._alarm(0 if self._comes() else self._pause)
        elif self.kind == "no-connect":
            self._alarm(FAR_MS)  # It may keep its connections and take no more.
        else:
            self._alarm(0)

    def _comes(self) -> bool:
        # Nothing is there by that name, and who watches the directories is told when something is.
        if not self._absent or not isinstance(self._path, str):
            return False
        self._pause = FIRST_MS
        if self._way is None:
            self._way = Way(self._path, self.queue, self)
        try:
            for _ in range(_LOOKS):
                if not self._way.renew():
                    break
        except OSError:
            return False  # a limit of inotify's: then by asking
        return not os.path.lexists(self._path)

    def _longest(self) -> int:
        near = self._path is not None or self._host in ("localhost", "127.0.0.1", "::1", "[::1]")
        return NEAR_MS if near else FAR_MS

    def _alarm(self, milliseconds: int) -> None:
        # 0: none.  A disabled knote tells nothing, and needs not be there to be disabled.
        how = EV_ADD | EV_ONESHOT | (EV_ENABLE if milliseconds else EV_DISABLE)
        self.queue.control([kevent(id(self), EVFILT_TIMER, how, 0, milliseconds or 1, self)], 0)

    def ready(self, event: kevent) -> None:
        """Handler.ready()"""
        if event.filter == EVFILT_VNODE:
            if self._held is None:
                self._attempt()
        elif event.filter == EVFILT_READ:
            if event.flags & EV_EOF:
                self._let_go()
                self._alarm(1)
        elif event.filter == EVFILT_WRITE and self._sock is not None:
            if not self._decided(self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)):
                self._next()
        elif event.filter == EVFILT_TIMER:
            if self._resolver is not None and self._resolver.busy:
                self._unknown()
            elif self._sock is None:
                self._attempt()
            else:
                self._decided(errno.ETIMEDOUT)
                self._next()

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()
            self._held = None

    def close(self) -> None:
        """Condition.close()"""
        if self._resolver is not None:
            self._resolver.close()
        if self._way is not None:
            self._way.close()
        self._let_go()
        if self._sock is not None:
            self._sock.close()
            self._sock = None
