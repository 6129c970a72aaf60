"""Operations that no trace of ours contains, but others of the same kind may."""

from __future__ import annotations

import json

import pytest

from tests.oracle import ops, player
from tests.oracle.test_player import Recorded
from tests.oracle.trace import Json, Scenario, load_all, parse
from tests.oracle.world import World

FILE: list[Json] = [
    {"op": "open", "fd": "f", "path": "f", "flags": ["O_RDWR", "O_CREAT"]},
    {"op": "write", "fd": "f", "n": 5},
]


def scenario_of(*steps: Json) -> Scenario:
    """A scenario whose answers nobody compares."""
    rows = [{"step": step, "result": {"ret": 0, "errno": None}} for step in steps]
    return parse({"name": "made up", "about": "", "kernel": "", "trace": rows})


def answers(*steps: Json) -> list[str]:
    """What the operations answer; the first ones only prepare."""
    scenario = scenario_of(*steps)
    with World(Recorded(scenario)) as world:
        return [outcome.text for outcome in player.run(world, scenario)]


@pytest.mark.parametrize(
    ("step", "answer"),
    [
        ({"op": "lseek", "fd": "f", "offset": 2}, "2"),
        ({"op": "lseek", "fd": "f", "off": 0, "whence": "SEEK_END"}, "5"),
        ({"op": "chmod", "path": "f", "mode": 0o600}, "0"),
        ({"op": "truncate", "path": "f", "len": 1}, "0"),
        ({"op": "utimes", "path": "f"}, "0"),
        ({"op": "symlink", "path": "f", "new": "g"}, "0"),
        ({"op": "rmdir", "path": "d"}, "-1 ENOENT"),
        ({"op": "unlink", "path": "d/x"}, "-1 ENOENT"),
    ],
)
def test_files(step: Json, answer: str) -> None:
    assert answers(*FILE, step)[-1] == answer


def test_later_writes_from_another_process() -> None:
    told = answers(
        {"op": "pipe", "r": "r", "w": "w"},
        {"op": "later", "ms": 1, "fd": "w", "n": 3},
        {"op": "poll", "fd": "r", "events": ["POLLIN"], "timeout_ms": 5000},
        {"op": "read", "fd": "r", "n": 9},
        {"op": "read", "fd": "r", "n": 9},
    )
    assert told == ["0", "0", "1 POLLIN", "3", "-1 EAGAIN"]


def test_a_refused_connection_keeps_its_error() -> None:
    told = answers(
        {"op": "unused_addr", "name": "U"},
        {"op": "socket", "fd": "c"},
        {"op": "connect", "fd": "c", "to": "U", "nonblock": True},
        {"op": "poll", "fd": "c", "events": ["POLLOUT"], "timeout_ms": 5000},
        {"op": "getsockopt", "fd": "c", "opt": "SO_ERROR"},
    )
    assert told[2:] == ["-1 EINPROGRESS", "1 POLLOUT|POLLERR|POLLHUP", "0 val=ECONNREFUSED"]


def test_end_of_file_ends_a_drain() -> None:
    told = answers(
        {"op": "pipe", "r": "r", "w": "w"},
        {"op": "write", "fd": "w", "n": 3},
        {"op": "close", "fd": "w"},
        {"op": "drain", "fd": "r"},
    )
    assert told[-1] == "*"


def test_an_operation_that_nobody_knows_is_an_error() -> None:
    with pytest.raises(LookupError, match="no operation frobnicate"):
        answers({"op": "frobnicate"})


def test_a_scenario_survives_being_written_and_read() -> None:
    for scenario in load_all().values():
        again = parse(json.loads(scenario.as_json()))
        assert again == scenario


def test_every_operation_has_its_name() -> None:
    assert {"pipe", "kqueue", "mkfifo", "later", "wait"} <= ops.OPS.keys()
