"""Metrics and health of a server, for Prometheus and for whoever balances load, at an address of their own."""

from __future__ import annotations

import ipaddress
import time
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DELETE, EVFILT_READ, kevent
from knote.apps import address as addresses
from knote.apps import service
from knote.apps.handler import Handler
from knote.apps.limits import Limits
from knote.apps.numbers import Report
from knote.apps.reception import Reception

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from knote import kqueue
    from knote.apps.page import Asked, Reply

_LIMITS = Limits(connections=64, per_address=0, idle=60, first_byte=10, buffer=1 << 20)
"""Of those who ask: few, and none for long; who asks nothing gives way before."""


class AdminError(ValueError):
    """There can be no such page; the text says why, and what to do."""


def pages() -> tuple[Any, Any, Any]:
    """What writes metrics, a line of text, a client's conversation.  AdminError where their libraries are not."""
    try:
        from knote.apps.metrics import text
        from knote.apps.page import Page, words
    except ModuleNotFoundError as error:
        raise AdminError(
            f"--admin needs {error.name}, which is not installed: pip install 'knote[metrics]'"
        ) from None
    return text, words, Page


def check(where: str, anywhere: bool) -> None:
    """Raise AdminError for no address, or one that is not to be listened at, as far as that shows before."""
    try:
        if addresses.unix_path(where) is not None:
            return
        host, port = addresses.split(where)
        addresses.number(port)
    except addresses.AddressError as error:
        raise AdminError(f"--admin {where}: {error}") from None
    try:
        own = anywhere or (host != "" and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return  # a name: what it means shows when it is listened at
    if not own:
        raise _open(where, host or "this machine")


def _open(where: str, host: str) -> AdminError:
    return AdminError(
        f"--admin {where}: anybody who reaches {host} could read it; listen on 127.0.0.1 or a UNIX socket, or say "
        "--admin-anywhere"
    )


class Admin(Handler):
    """Three pages at `where`: /metrics, /healthz (200 while the loop turns) and /readyz (200 while new connections
    are wanted, else 503, or what /readyz?draining=404 asks for).

    queue: of the program; ask: called with a function, which it hands the reports of all workers to, by name, and
    what is left of those that ended; now or later, by the queue's thread.
    anywhere: `where` may be another address than this machine's own or a UNIX socket.
    serves: asked at each look, whether there is anybody to take connections.
    wanted: whether they are; set it to False when they are not.
    It is a server with a queue of its own, which the program's queue watches: its clients are never counted among
    the program's, nor drained with them.  Raises AdminError, and OSError when the address cannot be had.
    """

    def __init__(
        self,
        queue: kqueue,
        where: str,
        ask: Callable[[Callable[[Mapping[str, Report], Report], None]], None],
        *,
        anywhere: bool = False,
        serves: Callable[[], bool] = lambda: True,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        check(where, anywhere)
        self._text, self._words, page = pages()
        # What is imported when it is first used is imported now: later there may be no descriptor to read it by.
        self._text({}, Report(), True, 0.0, "")
        self._queue = queue
        self._ask = ask
        self._serves = serves
        self._since = time.monotonic()
        self.wanted = True
        found: dict[str, Callable[[Asked, Reply], None]] = {
            "/metrics": self._metrics, "/healthz": self._alive, "/readyz": self._ready,
        }  # fmt: skip
        made = service.Service(service.PROTOCOL, lambda: page(found), "admin")
        # epoll, whatever the program's queue is on: it is to be watched by that one.
        self.server = Reception(listen=[where], service=made, engine="epoll", limits=_LIMITS, tell=tell)
        try:
            for listener in self.server.listeners:
                if not anywhere and not _is_own(listener.name):
                    raise _open(where, listener.name[0])
            driver: Any = self.server.driver
            driver.patience = 0
            queue.control([kevent(self.server.kqueue, EVFILT_READ, EV_ADD, 0, 0, self)], 0)
        except BaseException:
            self.server.close()
            raise

    @property
    def addresses(self) -> list[str]:
        """Where it listens."""
        return self.server.addresses

    def ready(self, event: kevent) -> None:
        """The queue of its server has something."""
        if not self.server.kqueue.closed:  # by an event that was collected together with this one
            self.server.driver.turn()

    def close(self) -> None:
        """Listen no more.  Idempotent."""
        if not self.server.kqueue.closed:
            if not self._queue.closed:
                self._queue.control([kevent(self.server.kqueue, EVFILT_READ, EV_DELETE)], 0)
            self.server.close()

    def _metrics(self, asked: Asked, reply: Reply) -> None:
        def made(workers: Mapping[str, Report], before: Report) -> None:
            uptime = time.monotonic() - self._since
            kind, body = self._text(workers, before, self._is_ready(), uptime, asked.accept)
            reply((200, kind, body))

        self._ask(made)

    def _alive(self, asked: Asked, reply: Reply) -> None:
        reply(self._words(200, "alive"))

    def _is_ready(self) -> bool:
        return self.wanted and self._serves()

    def _ready(self, asked: Asked, reply: Reply) -> None:
        if self._is_ready():
            reply(self._words(200, "ready"))
        elif self.wanted:
            reply(self._words(503, "nobody serves: no worker is ready"))
        else:
            reply(self._words(_status(asked.query.get("draining")), "draining: no new connections, please"))


def _status(word: str | None) -> int:
    """503, or the one that whoever asks can tell from an error: HAProxy's disable-on-404 takes a server out of the
    choice, where any other failure takes away its connections, too."""
    return int(word) if word in ("404", "410", "429", "500", "503") else 503


def _is_own(name: Any) -> bool:
    return not isinstance(name, tuple) or ipaddress.ip_address(name[0]).is_loopback
