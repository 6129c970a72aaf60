# cython: annotation_typing=False
"""The kqueue of a server on a ring: timers, signals and what other threads trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EV_DISABLE, EV_ENABLE, EVFILT_READ, kevent
from knote.harvest import Harvest

if TYPE_CHECKING:
    from knote import kqueue
    from knote._kernel.flow import Flow
    from knote.apps.listener import Listener

EVENTS = 64
"""Collected at once."""


class Polled:
    """The ring polls its descriptor, one completion at a time, and then all of its events are delivered."""

    __slots__ = ("_harvest", "_is_polled", "_kq")

    def __init__(self, kq: kqueue) -> None:
        self._kq = kq
        self._harvest = Harvest()
        self._is_polled = False

    def poll(self, flow: Flow, token: int) -> None:
        """Have the ring tell when there are events, unless it is about to."""
        if not self._is_polled:
            self._is_polled = flow.poll(self._kq.fileno(), token) == 0

    def deliver(self) -> None:
        """There are."""
        self._is_polled = False
        harvest = self._harvest
        queue = self._kq._home()
        while not self._kq.closed:
            n = queue.reap(harvest, EVENTS, 0)
            for i in range(n):
                event = harvest.events[i]
                handler: Any = event._udata
                handler.ready(event)
            for i in range(n):
                event = harvest.events[i]
                event._udata = None
            if n < EVENTS:
                return

    def listen(self, listener: Listener) -> None:
        """Tell it that connections wait."""
        self._kq.control([kevent(listener.fd, EVFILT_READ, EV_ADD | EV_ENABLE, 0, 0, listener)], 0)

    def unlisten(self, listener: Listener) -> None:
        """Tell it no more."""
        self._kq.control([kevent(listener.fd, EVFILT_READ, EV_ADD | EV_DISABLE, 0, 0, listener)], 0)

    def close(self) -> None:
        """Its records name nobody any more."""
        for event in self._harvest.events:
            event._udata = None
