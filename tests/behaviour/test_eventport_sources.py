"""knote.eventport: files and timers as sources (S-371, S-372)."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from knote import eventport as ep
from tests.behaviour.ports import FILE, nothing, port, readable, refused
from tests.support.waiting import SOON

__all__ = ["port"]


def told(port: ep.Port, path: Path, events: int, change: Callable[[], Any]) -> int:
    """What an association of the path tells of a change."""
    obj = ep.file_obj.stat(path)
    assert repr(str(path))[1:-1] in repr(obj)
    ep.port_associate(port, FILE, obj, events, "user")
    refused(errno.ETIME, ep.port_get, port, 0)
    change()
    event = ep.port_get(port, SOON)
    assert event[1:] == (FILE, obj, "user")
    refused(errno.ENOENT, ep.port_dissociate, port, FILE, obj)
    nothing(port)
    return event.portev_events


def test_what_files_tell(port: ep.Port, tmp_path: Path) -> None:
    """S-371."""
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert told(port, path, ep.FILE_MODIFIED, lambda: path.write_bytes(b"abcd")) & ep.FILE_MODIFIED
    assert told(port, path, ep.FILE_ATTRIB, lambda: path.chmod(0o600)) == ep.FILE_ATTRIB
    assert told(port, path, ep.FILE_MODIFIED, lambda: path.rename(tmp_path / "to")) == ep.FILE_RENAME_FROM
    assert told(port, tmp_path / "to", 0, (tmp_path / "to").unlink) & ep.FILE_DELETE
    assert told(port, tmp_path, ep.FILE_MODIFIED, path.touch) & ep.FILE_MODIFIED
    path.write_bytes(b"abc")
    assert told(port, path, ep.FILE_ACCESS, path.read_bytes) == ep.FILE_ACCESS


@pytest.mark.parametrize("name, bit", [("fo_atime", "ACCESS"), ("fo_mtime", "MODIFIED"), ("fo_ctime", "ATTRIB")])
def test_changed_before(port: ep.Port, tmp_path: Path, name: str, bit: str) -> None:
    """S-371: a time that differs at port_associate()."""
    now = tmp_path.stat()
    obj = ep.file_obj(tmp_path, now.st_atime_ns, now.st_mtime_ns, now.st_ctime_ns)
    setattr(obj, name, getattr(obj, name) - 1)
    asked = ep.FILE_ACCESS | ep.FILE_MODIFIED | ep.FILE_ATTRIB
    ep.port_associate(port, FILE, obj, asked)
    assert ep.port_get(port, SOON)[:3] == (getattr(ep, f"FILE_{bit}"), FILE, obj)
    ep.port_associate(port, FILE, obj, asked)
    assert readable(port, SOON)
    ep.port_dissociate(port, FILE, obj)
    refused(errno.ETIME, ep.port_get, port, 0)


def test_file_objects(port: ep.Port, tmp_path: Path) -> None:
    """S-371: the object is what is associated, twice the same name are two; ENOENT; links."""
    one, two = ep.file_obj(tmp_path), ep.file_obj(str(tmp_path))
    ep.port_associate(port, FILE, one, ep.FILE_MODIFIED, 1)
    ep.port_associate(port, FILE, two, ep.FILE_MODIFIED, "replaced")
    ep.port_associate(port, FILE, two, ep.FILE_MODIFIED, 2)
    (tmp_path / "new").touch()
    assert {event.portev_user for event in ep.port_getn(port, 9, 2, SOON)[0]} == {1, 2}
    nothing(port)
    refused(errno.ENOENT, ep.port_associate, port, FILE, ep.file_obj(tmp_path / "none"), ep.FILE_MODIFIED)
    refused(errno.EINVAL, ep.port_associate, port, FILE, one, 0x8)
    with pytest.raises(TypeError):
        ep.port_associate(port, FILE, tmp_path, ep.FILE_MODIFIED)
    link, target = tmp_path / "link", tmp_path / "new"
    link.symlink_to(target)
    ep.port_associate(port, FILE, ep.file_obj(link), ep.FILE_ATTRIB | ep.FILE_NOFOLLOW, "link")
    ep.port_associate(port, FILE, ep.file_obj(link), ep.FILE_ATTRIB, "target")
    target.chmod(0o600)
    assert ep.port_get(port, SOON).portev_user == "target"
    nothing(port)


def test_timers(port: ep.Port) -> None:
    """S-372."""
    timer = ep.timer_create(port, time.CLOCK_MONOTONIC, "tick")
    assert timer.gettime() == (0, 0)
    timer.settime(0.01)
    assert ep.port_get(port, SOON) == (1, ep.PORT_SOURCE_TIMER, timer, "tick")
    assert timer.gettime() == (0, 0)
    nothing(port)
    timer.settime(100, 7)
    left, interval = timer.gettime()
    assert 99 < left <= 100
    assert interval == 7
    timer.settime(0)
    nothing(port)
    for clock in (time.CLOCK_MONOTONIC, time.CLOCK_REALTIME):
        other = ep.timer_create(port, clock)
        other.settime(time.clock_gettime(clock) + 0.01, absolute=True)
        assert ep.port_get(port, SOON)[:3] == (1, ep.PORT_SOURCE_TIMER, other)
    refused(errno.EINVAL, timer.settime, -1)
    refused(errno.EINVAL, ep.timer_create, port, 99)
    timer.delete()
    refused(errno.EINVAL, timer.settime, 1)


def test_expirations_add_up(port: ep.Port) -> None:
    """S-372: what nobody retrieved is in the count."""
    timer = ep.timer_create(port, time.CLOCK_MONOTONIC)
    began = time.monotonic()
    timer.settime(0.01, 0.01)
    runs = time.monotonic()
    while time.monotonic() < runs + 0.05:
        assert readable(port, SOON)
    count = ep.port_get(port, SOON).portev_events
    assert 5 <= count <= (time.monotonic() - began) / 0.01
    assert ep.port_get(port, SOON).portev_events >= 1
    timer.delete()
    nothing(port)
