"""Solaris' event ports over the public kqueue: port_create(3C) and its family, with illumos' names and numbers.

Errors are OSErrors: EBADF of a closed port, EBADFD of what is no port, EACCES in a forked child, ETIME when the
time is up.  Timeouts are seconds; None waits for ever, 0 polls.  Any thread may do anything at once.
"""

from __future__ import annotations

from knote.interfaces.eventport.calls import (
    aio_fsync,
    aio_read,
    aio_submit,
    aio_write,
    lio_listio,
    mq_notify,
    port_alert,
    port_associate,
    port_create,
    port_dissociate,
    port_get,
    port_getn,
    port_send,
    port_sendn,
    timer_create,
)
from knote.interfaces.eventport.messages import Notice
from knote.interfaces.eventport.names import (
    AIOAREAD,
    AIOAWRITE,
    AIOFSYNC,
    AIOLIO,
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
    "AIOAREAD", "AIOAWRITE", "AIOFSYNC", "AIOLIO", "FILE_ACCESS", "FILE_ATTRIB", "FILE_DELETE", "FILE_EXCEPTION",
    "FILE_MODIFIED", "FILE_NOFOLLOW", "FILE_RENAME_FROM", "FILE_RENAME_TO", "FILE_TRUNC", "MAX_EVENTS",
    "MOUNTEDOVER", "Notice", "PORT_ALERT_INVALID", "PORT_ALERT_SET", "PORT_ALERT_UPDATE", "PORT_SOURCE_AIO",
    "PORT_SOURCE_ALERT", "PORT_SOURCE_FD", "PORT_SOURCE_FILE", "PORT_SOURCE_MQ", "PORT_SOURCE_TIMER",
    "PORT_SOURCE_USER", "UNMOUNTED", "Port", "TimeExpired", "Timer", "aio_fsync", "aio_read", "aio_submit",
    "aio_write", "file_obj", "lio_listio", "mq_notify", "port_alert", "port_associate", "port_create",
    "port_dissociate", "port_event", "port_get", "port_getn", "port_send", "port_sendn", "timer_create",
]  # fmt: skip
