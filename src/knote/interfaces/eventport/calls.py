# cython: annotation_typing=False
"""port_create(3C) and its family."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any

from knote import errors
from knote.interfaces.eventport.descriptors import number_of
from knote.interfaces.eventport.files import file
from knote.interfaces.eventport.messages import Notice, message_queue
from knote.interfaces.eventport.names import (
    PORT_ALERT_SET,
    PORT_ALERT_UPDATE,
    PORT_SOURCE_AIO,
    PORT_SOURCE_ALERT,
    PORT_SOURCE_FD,
    PORT_SOURCE_FILE,
    PORT_SOURCE_MQ,
    PORT_SOURCE_TIMER,
    PORT_SOURCE_USER,
    port_event,
)
from knote.interfaces.eventport.port import Port
from knote.interfaces.eventport.requests import submit, submit_list
from knote.interfaces.eventport.timers import Timer

if TYPE_CHECKING:
    from collections.abc import Iterable

    from knote.aio import Listio, Request

_WAYS = {
    PORT_SOURCE_AIO: "aio_submit()",
    PORT_SOURCE_TIMER: "timer_create()",
    PORT_SOURCE_USER: "port_send()",
    PORT_SOURCE_ALERT: "port_alert()",
    PORT_SOURCE_MQ: "mq_notify()",
}


def port_create(*, engine: str | None = None) -> Port:
    """Open a port.  engine: as of kqueue().  Its descriptor is close-on-exec, as all of Python's are.

    Raises OSError when the descriptors of its kqueue cannot be made (EMFILE, ENFILE).
    """
    return Port(engine=engine)


def port_associate(port: Port, source: int, object: Any, events: int, user: Any = None) -> None:
    """Watch the object once; what it has is replaced (S-361, S-362).

    PORT_SOURCE_FD: a descriptor, or what has fileno(); bits of poll(2), POLLERR and POLLHUP unasked.
    PORT_SOURCE_FILE: a file_obj; FILE_*, those of FILE_EXCEPTION unasked.
    Raises OSError: EBADF for a closed port, EBADFD for a closed descriptor, EINVAL for another source or bad
    events, ENOENT and what open(2) says of a file.
    """
    if source == PORT_SOURCE_FD:
        _port(port).associate_number(number_of(object), events, user)
    elif source == PORT_SOURCE_FILE:
        _port(port).associate(file(object, events, user))
    else:
        raise _bad_source(source)


def port_dissociate(port: Port, source: int, object: Any) -> None:
    """Watch it no more, and drop the event that nobody has retrieved (S-366).  Raises OSError(ENOENT, EINVAL)."""
    if source == PORT_SOURCE_FD:
        number = number_of(object)
        _port(port).dissociate(port.descriptors, number, f"descriptor {number}")
    elif source == PORT_SOURCE_FILE:
        _port(port).dissociate(port.files, id(object), f"{object!r}")
    else:
        raise _bad_source(source)


def port_get(port: Port, timeout: float | None = None) -> port_event:
    """Wait for one event.  Raises TimeExpired (ETIME), OSError(EINVAL) for a negative timeout (S-367)."""
    return _port(port).get(timeout)


def port_getn(
    port: Port, max: int, nget: int = 1, timeout: float | None = None
) -> tuple[list[port_event], int]:
    """Wait for at least nget events, return up to max and how many they are (S-368).

    nget 0 waits for nothing; max 0 returns no events and how many there are.
    Raises TimeExpired (ETIME), whose events are those that came; OSError(EINVAL) for nget > max.
    """
    return _port(port).getn(max, nget, timeout)


def port_send(port: Port, events: int, user: Any = None) -> None:
    """Queue a user's event (S-369): first in, first out, none merged.  Raises OSError(EAGAIN) at MAX_EVENTS.

    May be called by a signal handler.
    """
    _port(port).send(port_event(events, PORT_SOURCE_USER, None, user))


def port_sendn(ports: Iterable[Port], events: int, user: Any = None) -> list[int]:
    """port_send() to each: its errno, or 0 (S-369)."""
    result = []
    for port in ports:
        try:
            port_send(port, events, user)
        except OSError as error:
            result.append(error.errno or errno.EIO)
        else:
            result.append(0)
    return result


def port_alert(port: Port, flags: int, events: int, user: Any = None) -> None:
    """Alert mode (S-370): every port_get() returns this event, again and again; the others stay queued.

    flags: PORT_ALERT_SET or PORT_ALERT_UPDATE.  events 0 ends it.
    Raises OSError: EBUSY for SET in alert mode, EINVAL for other flags.
    """
    if flags not in (PORT_ALERT_SET, PORT_ALERT_UPDATE):
        raise errors.os_error(errno.EINVAL, f"flags {flags:#x}: PORT_ALERT_SET or PORT_ALERT_UPDATE")
    event = port_event(events, PORT_SOURCE_ALERT, None, user) if events else None
    _port(port).alert(event, flags == PORT_ALERT_UPDATE)


def timer_create(port: Port, clock: int = time.CLOCK_REALTIME, user: Any = None) -> Timer:
    """A timer that notifies the port, disarmed: timer_create(3C) with SIGEV_PORT.  Raises OSError(EINVAL)."""
    return Timer(_port(port), clock, user)


def aio_submit(port: Port, requests: Iterable[Request]) -> None:
    """Begin to carry out requests of knote.aio, each with SIGEV_PORT (S-373): portev_user is its udata.

    portev_events: AIOAREAD, AIOAWRITE, AIOFSYNC, or 0 for what Solaris does not do.  portev_object: the request,
    whose result() is aio_return(3C).
    Raises what knote.aio.submit() raises; OSError(ENOSYS) where there is no knote.aio.
    """
    submit(_port(port), requests)


def aio_read(
    port: Port, fd: Any, buffer: Any, offset: int = 0, user: Any = None
) -> Request:
    """aio_read(3C) with SIGEV_PORT: knote.aio.Request.read(), submitted.  The request is the aiocb."""
    return _submitted(port, _requests().read(fd, buffer, offset, udata=user))


def aio_write(port: Port, fd: Any, data: Any, offset: int = 0, user: Any = None) -> Request:
    """aio_write(3C) with SIGEV_PORT: knote.aio.Request.write(), submitted."""
    return _submitted(port, _requests().write(fd, data, offset, udata=user))


def aio_fsync(port: Port, fd: Any, user: Any = None) -> Request:
    """aio_fsync(3C) with O_SYNC and SIGEV_PORT: knote.aio.Request.fsync(), submitted."""
    return _submitted(port, _requests().fsync(fd, udata=user))


def lio_listio(port: Port, requests: Iterable[Request], user: Any = None) -> Listio:
    """lio_listio(3C), LIO_NOWAIT with SIGEV_PORT: one event when all are over.

    portev_events: AIOLIO.  portev_object: the Listio that is returned.  Raises as aio_submit() does.
    """
    return submit_list(_port(port), requests, user)


def mq_notify(port: Port, mqd: Any, user: Any = None) -> Notice:
    """mq_notify(3C) with SIGEV_PORT (S-373): an event when the next message comes to the queue, once.

    mqd: the message queue's descriptor (mq_open(3), posix_ipc), or what has fileno().  What waits by now is no
    event.  portev_events: 0.  portev_object: the number.  cancel() of what is returned is mq_notify(3C) with NULL.
    Raises OSError: EBADF, and EMFILE when a queue of its own cannot be made.
    """
    return Notice(_port(port), message_queue(mqd), user)


def _requests() -> type[Request]:
    from knote import aio

    return aio.Request


def _submitted(port: Port, request: Request) -> Request:
    submit(_port(port), [request])
    return request


def _port(port: Port) -> Port:
    if not isinstance(port, Port):
        raise errors.os_error(errno.EBADFD, f"{port!r} is no port: port_create() returns them")
    return port


def _bad_source(source: int) -> OSError:
    way = _WAYS.get(source)
    which = f"source {source} comes by {way}" if way else f"source {source}"
    return errors.os_error(
        errno.EINVAL, f"{which}; port_associate() and port_dissociate() are for PORT_SOURCE_FD and _FILE"
    )
