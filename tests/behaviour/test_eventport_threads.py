"""knote.eventport with several threads: each event to exactly one, alerts to all, close() (S-374)."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from typing import Any

import pytest

from knote import eventport as ep
from tests.behaviour.ports import ALERT, FD, IN, USER, nothing, port, refused
from tests.support.plumbing import Pipe
from tests.support.waiting import SOON, in_a_wait, wait_until

__all__ = ["port"]


class Crew:
    """Threads that each run a function until it is done; what they raise is raised by join()."""

    def __init__(self, count: int, run: Callable[[int], Any]) -> None:
        self.results: list[Any] = [None] * count
        self.failed: list[BaseException] = []

        def one(number: int) -> None:
            try:
                self.results[number] = run(number)
            except BaseException as error:
                self.failed.append(error)

        self.threads = [threading.Thread(target=one, args=(number,)) for number in range(count)]
        for thread in self.threads:
            thread.start()

    def join(self) -> list[Any]:
        for thread in self.threads:
            thread.join(2 * SOON)
            assert not thread.is_alive()
        if self.failed:
            raise self.failed[0]
        return self.results


def waiting(crew: Crew, port: ep.Port) -> None:
    """All are inside a wait, as far as /proc tells."""
    wait_until(lambda: all(in_a_wait(thread.native_id or 0) for thread in crew.threads))


@pytest.mark.parametrize("least", [1, 3])
def test_several_in_getn(port: ep.Port, least: int) -> None:
    """None lost, none twice, whoever sends; a batch has what was asked for."""
    each, senders = 300, 3

    def get(_: int) -> list[int]:
        got: list[int] = []
        while True:
            events, count = ep.port_getn(port, 8, least, SOON)
            assert least <= count == len(events) <= 8
            got += [event.portev_events for event in events]
            if 0 in got:
                return got

    def send(number: int) -> None:
        for n in range(each):
            ep.port_send(port, 1 + number * each + n)

    getters, crew = Crew(4, get), Crew(senders, send)
    crew.join()
    ended = 0
    while any(thread.is_alive() for thread in getters.threads):
        if ended < 100:
            ep.port_send(port, 0)
            ended += 1
        getters.threads[0].join(0.001)
        for thread in getters.threads:
            thread.join(0.001)
    got = sorted(number for batch in getters.join() for number in batch if number)
    left = [event.portev_events for event in ep.port_getn(port, 5000, 0)[0]]
    assert sorted(got + [number for number in left if number]) == list(range(1, 1 + senders * each))


def test_the_time_is_up_for_several(port: ep.Port) -> None:
    """ETIME with what is there: four events that two threads share are in what was raised, or were sent later."""

    def get(_: int) -> list[int]:
        error = refused(errno.ETIME, ep.port_getn, port, 9, 5, 0.2)
        assert isinstance(error, ep.TimeExpired)
        return [event.portev_events for event in error.events]

    crew = Crew(2, get)
    for n in range(4):
        ep.port_send(port, n)
    got = [number for batch in crew.join() for number in batch]
    late = [event.portev_events for event in ep.port_getn(port, 9, 0)[0]]
    assert sorted(got + late) == [0, 1, 2, 3]
    nothing(port)


def test_an_alert_while_they_wait_for_more(port: ep.Port, pipe: Pipe) -> None:
    """Each gets the alert alone; what they had got is there afterwards, in order."""
    ep.port_associate(port, FD, pipe.r, IN, "pipe")
    pipe.write(b"x")
    for n in range(4):
        ep.port_send(port, n)
    crew = Crew(3, lambda _: ep.port_getn(port, 50, 50, SOON))
    waiting(crew, port)
    ep.port_alert(port, ep.PORT_ALERT_SET, 9, "all of you")
    assert crew.join() == [([(9, ALERT, None, "all of you")], 1)] * 3
    ep.port_alert(port, ep.PORT_ALERT_SET, 0)
    events, count = ep.port_getn(port, 50, 5, SOON)
    assert count == 5
    assert sorted(event.portev_events for event in events if event.portev_source == USER) == [0, 1, 2, 3]
    assert [event[:] for event in events if event.portev_source == FD] == [(IN, FD, pipe.r, "pipe")]
    nothing(port)


def test_close_while_they_wait_for_more(port: ep.Port) -> None:
    for n in range(4):
        ep.port_send(port, n)
    crew = Crew(3, lambda _: refused(errno.EBADF, ep.port_getn, port, 50, 50, SOON).errno)
    waiting(crew, port)
    port.close()
    assert crew.join() == [errno.EBADF] * 3


def test_who_retrieves_associates_again(port: ep.Port) -> None:
    """Threads share descriptors, each taking a byte of what it is told of: every byte once, and no one is told of
    nothing."""
    pipes = [Pipe() for _ in range(8)]
    each = 60
    writers = {pipe.r: pipe.w for pipe in pipes}
    counts = dict.fromkeys(writers, 0)
    for pipe in pipes:
        ep.port_associate(port, FD, pipe.r, IN)
        pipe.write(b"x")

    def get(_: int) -> int:
        taken = 0
        while True:
            event = ep.port_get(port, SOON)
            if event.portev_source == USER:
                ep.port_send(port, 0)
                return taken
            fd = event.portev_object
            assert os.read(fd, 1) == b"x"
            taken += 1
            counts[fd] += 1
            if counts[fd] < each:
                os.write(writers[fd], b"x")
                ep.port_associate(port, FD, fd, IN)
            elif min(counts.values()) == each:
                ep.port_send(port, 0)

    assert sum(Crew(4, get).join()) == each * len(pipes)
    assert set(counts.values()) == {each}
    for pipe in pipes:
        pipe.close()


def test_associated_and_dissociated_under_waiters(port: ep.Port, pipe: Pipe) -> None:
    """An event goes to who waits, or its association is taken back: one of the two."""
    pipe.write(b"x")
    crew = Crew(1, lambda _: count_until_told(port))
    taken_back = 0
    for _ in range(300):
        ep.port_associate(port, FD, pipe.r, IN)
        try:
            ep.port_dissociate(port, FD, pipe.r)
            taken_back += 1
        except FileNotFoundError:
            pass
    ep.port_send(port, 0)
    assert crew.join() == [300 - taken_back]
    nothing(port)


def count_until_told(port: ep.Port) -> int:
    count = 0
    while ep.port_get(port, SOON).portev_source != USER:
        count += 1
    return count
