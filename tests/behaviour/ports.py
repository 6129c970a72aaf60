"""Short words for event ports."""

from __future__ import annotations

import errno
import select
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from knote import eventport as ep
from tests.support.waiting import SOON

IN, OUT, PRI = select.POLLIN, select.POLLOUT, select.POLLPRI
ERR, HUP = select.POLLERR, select.POLLHUP
FD, FILE, USER, ALERT = ep.PORT_SOURCE_FD, ep.PORT_SOURCE_FILE, ep.PORT_SOURCE_USER, ep.PORT_SOURCE_ALERT
TIMER, AIO, MQ = ep.PORT_SOURCE_TIMER, ep.PORT_SOURCE_AIO, ep.PORT_SOURCE_MQ


@pytest.fixture
def port(engine: str) -> Iterator[ep.Port]:
    """An empty port."""
    with ep.port_create(engine=engine) as made:
        yield made


def readable(port: ep.Port, seconds: float = 0) -> bool:
    """poll(2) of the port's descriptor, whose number may be beyond what select(2) takes."""
    poller = select.poll()
    poller.register(port, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def refused(number: int, call: Callable[..., Any], *arguments: Any) -> OSError:
    """The OSError of this errno that the call raises."""
    with pytest.raises(OSError) as caught:
        call(*arguments)
    assert caught.value.errno == number
    return caught.value


def nothing(port: ep.Port) -> None:
    """There is nothing to retrieve, and nobody is told that there is."""
    refused(errno.ETIME, ep.port_get, port, 0)
    assert not readable(port)


class Getters:
    """Threads that retrieve until they get events 0."""

    def __init__(self, port: ep.Port, count: int) -> None:
        self.got: list[list[Any]] = [[] for _ in range(count)]
        self.threads = [threading.Thread(target=self.run, args=(port, got)) for got in self.got]
        for thread in self.threads:
            thread.start()

    def run(self, port: ep.Port, got: list[Any]) -> None:
        try:
            while True:
                event = ep.port_get(port, SOON)
                got.append(event)
                if event.portev_source == ALERT or not event.portev_events:
                    break
        except OSError as error:
            got.append(error.errno)

    def join(self) -> list[Any]:
        for thread in self.threads:
            thread.join(SOON)
            assert not thread.is_alive()
        return [each for got in self.got for each in got]
