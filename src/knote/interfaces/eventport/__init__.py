"""Solaris' event ports over the public kqueue: port_create(3C) and its family, with illumos' names and numbers.

Errors are OSErrors: EBADF of a closed port, EBADFD of what is no port, EACCES in a forked child, ETIME when the
time is up.  Timeouts are seconds; None waits for ever, 0 polls.  Any thread may do anything at once.
Not there: PORT_SOURCE_AIO and PORT_SOURCE_MQ.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Iterable
from typing import Any

from knote import errors
from knote.interfaces.eventport.descriptors import descriptor
from knote.interfaces.eventport.files import file
from knote.interfaces.eventport.names import (
    FILE_ACCESS,
    FILE_ATTRIB,
    FILE_DELETE,
    FILE_EXCEPTION,
    FILE_MODIFIED,
    FILE_NOFOLLOW,
    FILE_RENAME_FROM,
    FILE_RENAME_TO,
    FILE_TRUNC,
    MOUNTEDOVER,
    PORT_ALERT_INVALID,
    PORT_ALERT_SET,
    PORT_ALERT_UPDATE,
    PORT_SOURCE_AIO,
    PORT_SOURCE_ALERT,
    PORT_SOURCE_FD,
    PORT_SOURCE_FILE,
    PORT_SOURCE_MQ,
    PORT_SOURCE_TIMER,
    PORT_SOURCE_USER,
    UNMOUNTED,
    TimeExpired,
    file_obj,
    port_event,
)
from knote.interfaces.eventport.port import MAX_EVENTS, Port
from knote.interfaces.eventport.timers import Timer

__all__ = [
    "FILE_ACCESS", "FILE_ATTRIB", "FILE_DELETE", "FILE_EXCEPTION", "FILE_MODIFIED", "FILE_NOFOLLOW",
    "FILE_RENAME_FROM", "FILE_RENAME_TO", "FILE_TRUNC", "MAX_EVENTS", "MOUNTEDOVER", "PORT_ALERT_INVALID",
    "PORT_ALERT_SET", "PORT_ALERT_UPDATE", "PORT_SOURCE_AIO", "PORT_SOURCE_ALERT", "PORT_SOURCE_FD",
    "PORT_SOURCE_FILE", "PORT_SOURCE_MQ", "PORT_SOURCE_TIMER", "PORT_SOURCE_USER", "UNMOUNTED", "Port",
    "TimeExpired", "Timer", "file_obj", "port_alert", "port_associate", "port_create", "port_dissociate",
    "port_event", "port_get", "port_getn", "port_send", "port_sendn", "timer_create",
]  # fmt: skip


def port_create(*, engine: str | None = None) -> Port:
    """Open a port.  engine: as of kqueue().  Its descriptor is close-on-exec, as all of Python's are.

    Raises OSError when the descriptors of its kqueue cannot be made (EMFILE, ENFILE).
    """
    return Port(engine=engine)


def port_associate(port: Port, source: int, object: Any, events: int, user: Any = None) -> None:
    """Watch the object once; what it has is replaced (S-361, S-362).

    PORT_SOURCE_FD: a descriptor, or what has fileno(); bits of poll(2), POLLERR and POLLHUP unasked.
    PORT_SOURCE_FILE: a file_obj; FILE_*, those of FILE_EXCEPTION unasked.
    Raises OSError: EINVAL for another source or bad events, EBADF, ENOENT and what open(2) says of the file.
    """
    if source == PORT_SOURCE_FD:
        _port(port).associate(descriptor(object, events, user))
    elif source == PORT_SOURCE_FILE:
        _port(port).associate(file(object, events, user))
    else:
        raise _bad_source(source)


def port_dissociate(port: Port, source: int, object: Any) -> None:
    """Watch it no more, and drop the event that nobody has retrieved (S-366).  Raises OSError(ENOENT, EINVAL)."""
    if source == PORT_SOURCE_FD:
        number = object if isinstance(object, int) else object.fileno()
        _port(port).dissociate(port.descriptors.get(number), f"descriptor {number}")
    elif source == PORT_SOURCE_FILE:
        _port(port).dissociate(port.files.get(id(object)), f"{object!r}")
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
    _port(port).send(events, user)


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


def _port(port: Port) -> Port:
    if not isinstance(port, Port):
        raise errors.os_error(errno.EBADFD, f"{port!r} is no port")
    return port


def _bad_source(source: int) -> OSError:
    return errors.os_error(errno.EINVAL, f"source {source}: PORT_SOURCE_FD or PORT_SOURCE_FILE is associated")
