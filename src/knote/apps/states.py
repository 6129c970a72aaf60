"""What a connection is up to, as flags, and why it ended, as the word that logs have for it."""

from __future__ import annotations

SILENT = 1
"""The client has sent nothing yet."""
FULL = 2
"""It is owed more than the high-water mark, and has not come below the low one since."""
HELD = 4
"""The service wants no more for now."""
ENDED = 8
"""It has shut down its sending side."""
FINISHING = 16
"""To be closed once it has everything."""
CLOSED = 32
READING = 64
"""The driver reads from it."""
AWAITED = 128
"""The driver waits for room to send."""
ARMED = 512
"""A ring receives from it."""
SLOW = 1024
"""It was paused: a ring receives from it one buffer at a time."""
CROWDED = 16384
"""It found no buffer, or filled one: a ring receives from it into one at a time, until it sends less than fits."""
OVER = 32768
"""Nothing comes from it any more; what is to be done about that waits in the driver's Ends."""
WHOLE = 65536
"""It was not reset: it is OVER because it shut down its sending side."""
BEGUN = 256
"""The service knows of it."""
LINGERING = 2048
"""Closed but for its descriptor: what it still sends is thrown away."""
PROXIED = 4096
"""From a trusted proxy, whose header has not come yet."""
COUNTED = 8192
"""It is one of its address's connections."""

CLIENT = "client"
"""It ended its side, and has what it was owed."""
RESET = "reset"
"""It reset the connection, or is gone."""
SERVICE = "service"
"""The service was done with it."""
FAILED = "failed"
"""The service raised."""
IDLE = "idle"
FIRST_BYTE = "first-byte"
STOPPED = "stopped"
"""The server was stopped."""
DRAINED = "drained"
"""The server was told to end, and owed it nothing."""
UNWATCHABLE = "unwatchable"
"""No memory for its knotes."""
TLS = "tls"
"""No TLS could be agreed on, or it was broken."""
PROXY = "proxy"
"""A trusted proxy sent no PROXY header, or half of one."""
PER_ADDRESS = "per-address"
"""One too many of its address."""
