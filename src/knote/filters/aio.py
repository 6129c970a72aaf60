# cython: annotation_typing=False
"""EVFILT_AIO: a request of knote.aio is over.  See kqueue(2) and aio(4) on FreeBSD; spec S-165, S-166."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from knote import process
from knote.carriers import choose
from knote.carriers.base import Carrier
from knote.constants import EV_EOF, EV_ONESHOT, EVFILT_AIO
from knote.filters.base import Filter
from knote.knote import ACTIVE, DISABLED
from knote.verbs import AIO_ALLDONE, DONE, FLYING

if TYPE_CHECKING:
    from knote.filters.lio import Lio
    from knote.host import Host
    from knote.knote import Knote
    from knote.request import Request

_EPERM = errno.EPERM


class Aio(Filter):
    """Ident is the request's; requests come in by start(), not by changes.

    A slot of the carrier is kept until the request is over and its event was collected: the request is alive till
    then, whoever else has forgotten it.  Nothing that it holds is let go of here, under the lock: it goes to shed.
    """

    __slots__ = ("_host", "_lio", "_shed", "carrier", "why")

    def __init__(self, host: Host, lio: Lio) -> None:
        super().__init__()
        self.id = EVFILT_AIO
        self.forced = EV_ONESHOT
        self._host = host
        self._shed = host.shed
        self._lio = lio
        self.carrier = Carrier("", -1)
        """One that carries nothing, until the first request."""
        self.why = ""
        """Why it is not io_uring."""

    def open(self) -> None:
        """Open the carrier, if there is none yet.  Raises OSError."""
        if self.carrier.fd < 0:
            carrier, self.why = choose()
            rc = self._host.own(carrier.fd, self)
            if rc < 0:
                carrier.close()
                raise OSError(-rc, "the descriptor of asynchronous requests")
            self.carrier = carrier
            process.retire_at_exit()

    def start(self, request: Request, kn: Knote | None) -> None:
        """Carry it out; kn tells of its end, if anybody wants to know.  flush() has to follow."""
        request.knote = kn
        request.state = FLYING
        self.carrier.start(request)

    def flush(self) -> None:
        """Begin what was started."""
        self.carrier.flush()
        if self.carrier.landed:
            self._land()

    def attach(self, kn: Knote) -> int:
        """Filter.attach(): EPERM, as on FreeBSD, for all that are not the facility's own (S-166)."""
        return _EPERM

    def event(self, kn: Knote, hint: int) -> int:
        """Filter.event(): data is what the system call gave, or -errno with the errno in fflags."""
        if not kn.status & ACTIVE:
            return 0
        request = self.carrier.find(kn.ident)
        value = 0
        if request is not None:
            value = request.value
            request.take()
        kn.data = value
        kn.fflags = -value if value < 0 else 0
        kn.shown = EV_EOF
        return 1

    def detach(self, kn: Knote) -> None:
        """Filter.detach().  The request of an event that nobody wants goes on by itself."""
        request = self.carrier.find(kn.ident)
        if request is not None:
            request.knote = None
            if request.state == DONE:
                self._shed.append(request)
                self.carrier.release(request)

    def drain(self, number: int) -> None:
        """Drain.drain(): some are over."""
        if self.carrier.fd >= 0:
            self.carrier.reap()
            if self.carrier.landed:
                self._land()

    def cancel(self, request: Request) -> int:
        """Carrier.cancel()."""
        if self.carrier.fd < 0 or request.state != FLYING:
            return AIO_ALLDONE
        answer = self.carrier.cancel(request)
        self._land()
        return answer

    def _land(self) -> None:
        landed = self.carrier.landed
        for request in landed:
            if request.pin is not None:
                self._shed.append(request.pin)
                request.pin = None
            kn = request.knote
            if kn is None:
                self._shed.append(request)
                self.carrier.release(request)
            else:
                kn.status |= ACTIVE
                if not kn.status & DISABLED:
                    self._host.ready.append(kn)
            if request.group is not None:
                self._lio.count(request)
        landed.clear()

    def retire(self) -> None:
        """The interpreter ends: what it lets go of must not be written to any more.  The next request, if there
        is one, opens another carrier."""
        if self.carrier.fd >= 0:
            self._host.disown(self.carrier.fd)
            self.close()

    def close(self) -> None:
        """Filter.close(): cancels what can be cancelled, waits for the rest."""
        if self.carrier.fd >= 0:
            self.carrier.close()
            self._land()
