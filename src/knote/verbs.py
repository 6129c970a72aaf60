"""What a request of knote.aio can be, how it stands, and what cancelling it came to."""

from __future__ import annotations

from typing import Final

READ = 0
"""The verbs, from here to SENDTO."""
WRITE = 1
FSYNC = 2
FDATASYNC = 3
ACCEPT = 4
CONNECT = 5
RECV = 6
SEND = 7
RECVFROM = 8
SENDTO = 9
WORDS: Final = ("read", "write", "fsync", "fdatasync", "accept", "connect", "recv", "send", "recvfrom", "sendto")

IDLE = 0
"""Never submitted."""
ARMED = 1
"""Being submitted."""
FLYING = 2
DONE = 3

LAUNCH = 0
"""What knote.aio asks of a queue, from here to WHICH."""
CANCEL = 1
LOOK = 2
RETIRE = 3
WHICH = 4

AIO_CANCELED = 0
"""cancel(): it ends with ECANCELED."""
AIO_NOTCANCELED = 1
"""cancel(): too late, it is being carried out and ends as it ends."""
AIO_ALLDONE = 2
"""cancel(): there was nothing to cancel."""
