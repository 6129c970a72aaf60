"""PORT_SOURCE_AIO: knote.aio's requests, the ends of which are events of a port (spec S-373)."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any, Final

from knote import errors, kqueue
from knote.interfaces.eventport.names import AIOAREAD, AIOAWRITE, AIOFSYNC, AIOLIO, PORT_SOURCE_AIO, port_event
from knote.interfaces.eventport.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable

    from knote import kevent
    from knote.aio import Listio, Request
    from knote.interfaces.eventport.port import Port

_OPS: Final = {
    "read": AIOAREAD, "recv": AIOAREAD, "write": AIOAWRITE, "send": AIOAWRITE,
    "fsync": AIOFSYNC, "fdatasync": AIOFSYNC,
}  # fmt: skip
"""Solaris has no aio_accept() and no aio_connect(): 0."""
_IS_HERE: Final = kqueue.__module__ == "knote.kqueue"


class Completion(Source):
    """The end of a request, or of a list of them."""

    __slots__ = ("events", "object", "user")

    def __init__(self, object: Request | Listio | None, events: int, user: Any) -> None:
        self.object = object
        self.events = events
        self.user = user

    def judge(self, port: Port, event: kevent | None) -> port_event | None:
        """Source.judge()."""
        return port_event(self.events, PORT_SOURCE_AIO, self.object, self.user)

    def give_back(self, port: Port, event: port_event) -> None:
        """Source.give_back()."""
        port.queue(self)


def submit(port: Port, requests: Iterable[Request]) -> None:
    """Begin to carry them out; an event for each."""
    from knote import aio

    every = _checked(port, requests)
    with port.lock:
        users = [request.udata for request in every]
        try:
            for request in every:
                # What a queue keeps with the event; the program's is for portev_user.
                request.udata = Completion(request, _OPS.get(request.op_name, 0), request.udata)
            aio.submit(port.kqueue, every)
        except ValueError:
            port.check()
            raise
        finally:
            for request, user in zip(every, users, strict=True):
                request.udata = user


def submit_list(port: Port, requests: Iterable[Request], user: Any) -> Listio:
    """Begin to carry them out; one event, when all are over."""
    from knote import aio

    every = _checked(port, requests)
    completion = Completion(None, AIOLIO, user)
    with port.lock:
        try:
            completion.object = made = aio.lio_listio(port.kqueue, every, udata=completion)
        except ValueError:
            port.check()
            raise
    return made


def _checked(port: Port, requests: Iterable[Request]) -> list[Request]:
    if not _IS_HERE:
        raise errors.os_error(errno.ENOSYS, "knote.aio is there on Linux only, and so is PORT_SOURCE_AIO")
    from knote import aio

    port.check()
    every = list(requests)
    for request in every:
        if not isinstance(request, aio.Request):
            raise errors.not_a_request(request)
    return every
