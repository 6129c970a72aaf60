"""PORT_SOURCE_MQ: mq_notify(3C) with SIGEV_PORT (spec S-373)."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_CLEAR, EV_DELETE, EV_ERROR, EVFILT_READ, errors, kevent, kqueue
from knote.interfaces.eventport.names import PORT_SOURCE_MQ, port_event
from knote.interfaces.eventport.source import Source

if TYPE_CHECKING:
    from knote.interfaces.eventport.port import Port


class Notice(Source):
    """The registration for the next message.  Made by mq_notify(); over when it was retrieved, or cancelled.

    The port's queue watches a queue that watches the message queue by edge: so messages that wait already are no
    event, and the same number may be associated as a descriptor, too.  Threads: any.
    """

    __slots__ = ("_port", "_queue", "_ready", "mqd", "user")

    def __init__(self, port: Port, mqd: int, user: Any) -> None:
        self._port = port
        self.mqd = mqd
        self.user = user
        self._ready = False
        with port.lock:
            port.check()
            self._queue: kqueue | None = None
            queue = kqueue()
            try:
                # What it says of the messages that wait by now is taken in the same call.
                for event in queue.control([kevent(mqd, EVFILT_READ, EV_ADD | EV_CLEAR)], 1, 0):
                    if event.flags & EV_ERROR:
                        raise errors.os_error(event.data, f"mq_notify() of descriptor {mqd}")
                port.control([kevent(queue.fileno(), EVFILT_READ, EV_ADD, 0, 0, self)])
            except BaseException:
                queue.close()
                raise
            self._queue = queue

    def cancel(self) -> bool:
        """mq_notify(3C) with NULL: no event comes any more.  Whether one would have."""
        with self._port.lock:
            self._port.check()
            waited = self._queue is not None or self._ready
            self._end()
            self._ready = False
            return waited

    def _end(self) -> None:
        if self._queue is not None:
            queue, self._queue = self._queue, None
            self._port.control([kevent(queue.fileno(), EVFILT_READ, EV_DELETE)])
            queue.close()

    def __repr__(self) -> str:
        return f"<knote.eventport.Notice of message queue {self.mqd}>"

    # Each of these is called under the port's lock.

    def judge(self, port: Port, event: kevent | None) -> port_event | None:
        """Source.judge(): the registration ends with it."""
        if self._queue is not None:
            if event is None or not self._queue.control(None, 1, 0):
                return None
            self._end()
        elif not self._ready:
            return None  # cancelled, or retrieved by another thread
        self._ready = False
        return port_event(0, PORT_SOURCE_MQ, self.mqd, self.user)

    def give_back(self, port: Port, event: port_event) -> None:
        """Source.give_back()."""
        self._ready = True
        port.queue(self)


def message_queue(mqd: Any) -> int:
    """The descriptor of a message queue, or of what has fileno(), as Linux' mqd_t are; OSError(EBADF)."""
    number = mqd if isinstance(mqd, int) else mqd.fileno()
    try:
        os.fstat(number)
    except (OSError, OverflowError):
        raise errors.os_error(errno.EBADF, f"mq_notify() of {number}, which is no open descriptor") from None
    return int(number)
