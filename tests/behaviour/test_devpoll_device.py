"""knote.devpoll(): the device itself, write(2) and ioctl(2) (spec 5.1)."""

from __future__ import annotations

import errno
import socket
import time
from pathlib import Path
from typing import Any

import pytest

from knote.interfaces.devpoll import DP_ISPOLLED, DP_POLL, POLLREMOVE, dvpoll
from tests.behaviour.devices import IN, NVAL, OUT, PRI, dp, pollfd, pollfds
from tests.support.plumbing import Pair

__all__ = ["dp"]


def test_write(dp: Any, socketpair: Pair) -> None:
    """S-347 ... S-349: in order, ORed, replaced after POLLREMOVE; half a record is not taken."""
    fd = socketpair.fd_a
    socketpair.b.send(b"x")
    assert dp.write(pollfd(fd, IN) + pollfd(fd, OUT)) == 16
    assert dp.poll(0) == [(fd, IN | OUT)]
    assert dp.write(pollfd(fd, POLLREMOVE | IN) + pollfd(fd, OUT) + b"half") == 16
    assert dp.poll(0) == [(fd, OUT)]
    assert dp.write(pollfd(fd, POLLREMOVE)) == 8
    assert dp.poll(0) == []
    for short in (b"", b"1234567"):
        with pytest.raises(OSError, match="struct pollfd has 8") as raised:
            dp.write(short)
        assert raised.value.errno == errno.EINVAL


def test_write_of_no_descriptor(dp: Any) -> None:
    """S-350."""
    dp.write(pollfd(-1, IN) + pollfd(12345, IN))
    room = bytearray(16)
    assert dp.ioctl(DP_POLL, dvpoll(room, 2, -1)) == 2
    assert sorted(pollfds(room, 2)) == [(-1, IN, NVAL), (12345, IN, NVAL)]


def test_dp_poll(dp: Any, socketpair: Pair) -> None:
    """S-351: fd, events as registered, revents."""
    room = bytearray(b"\xff" * 32)
    dp.write(pollfd(socketpair.fd_a, IN | PRI))
    assert dp.ioctl(DP_POLL, dvpoll(room, 4, 0)) == 0
    assert room == b"\xff" * 32
    socketpair.b.send(b"x")
    assert dp.ioctl(DP_POLL, dvpoll(room, 4, -1)) == 1
    assert pollfds(room, 1) == [(socketpair.fd_a, IN | PRI, IN)]
    assert room[8:] == b"\xff" * 24


def test_dp_poll_is_fair(dp: Any, tmp_path: Path) -> None:
    """S-352: what there was no room for comes next, whatever is always ready."""
    pairs = [socket.socketpair() for _ in range(4)]
    with open(tmp_path / "file", "wb") as file:
        everything = {file.fileno(), *(one.fileno() for one, _ in pairs)}
        for fd in everything:
            dp.write(pollfd(fd, IN | OUT))
        seen: set[int] = set()
        room = bytearray(16)
        for _ in range(6 * len(everything)):
            for fd, _, revents in pollfds(room, dp.ioctl(DP_POLL, dvpoll(room, 2, 0))):
                assert revents & OUT
                seen.add(fd)
        assert seen == everything
        dp.write(pollfd(file.fileno(), POLLREMOVE))
    for one, two in pairs:
        one.close()
        two.close()


def test_dp_poll_without_room(dp: Any) -> None:
    """S-352: it only sleeps."""
    start = time.monotonic()
    assert dp.ioctl(DP_POLL, dvpoll(None, 0, 20)) == 0
    assert time.monotonic() - start >= 0.02


@pytest.mark.parametrize(
    ("request_", "argument", "number"),
    [
        (DP_POLL, dvpoll(None, 1, 0), errno.EFAULT),
        (DP_POLL, dvpoll(bytearray(8), 2, 0), errno.EFAULT),
        (DP_POLL, dvpoll(b"12345678", 1, 0), errno.EFAULT),
        (DP_POLL, dvpoll(bytearray(8), -1, 0), errno.EINVAL),
        (DP_POLL, dvpoll(bytearray(8), 1, -2), errno.EINVAL),
        (DP_POLL, dvpoll(None, 0, -1), errno.EINVAL),
        (DP_ISPOLLED, bytearray(7), errno.EFAULT),
        (DP_ISPOLLED, b"12345678", errno.EFAULT),
        (0xD003, None, errno.EINVAL),
    ],
)
def test_refused_requests(dp: Any, request_: int, argument: Any, number: int) -> None:
    with pytest.raises(OSError) as raised:
        dp.ioctl(request_, argument)
    assert raised.value.errno == number


def test_dp_poll_takes_a_dvpoll(dp: Any) -> None:
    with pytest.raises(TypeError, match="DP_POLL takes a dvpoll, got NoneType"):
        dp.ioctl(DP_POLL, None)


def test_dp_ispolled(dp: Any) -> None:
    """S-353: what it is watched for, in revents."""
    dp.write(pollfd(5, IN) + pollfd(5, OUT))
    record = bytearray(pollfd(5, PRI, 77))
    assert dp.ioctl(DP_ISPOLLED, record) == 1
    assert pollfds(record, 1) == [(5, 0, IN | OUT)]
    record = bytearray(pollfd(6, 0, 77))
    assert dp.ioctl(DP_ISPOLLED, record) == 0
    assert pollfds(record, 1) == [(6, 0, 0)]
