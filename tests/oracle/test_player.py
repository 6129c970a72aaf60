"""The player itself: a queue that answers from the recording must reproduce the recording."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from tests.oracle import names, ops, player, verdict
from tests.oracle.differences import Difference
from tests.oracle.player import Outcome
from tests.oracle.trace import Event, Scenario, load_all, parse
from tests.oracle.world import World

FREEBSD = load_all()

# Steps beside kevent that Linux answers otherwise: with the recorded queue nothing else may differ.
# kqueue_rw and kq_poll ask the queue's own descriptor, and the recorded queue has none worth
# asking.
LINUX_ANSWERS = {
    ("kqueue_rw", 2): "-1 EINVAL",
    ("kqueue_rw", 3): "-1 EINVAL",
    ("kq_poll", 6): "0",
    ("kq_poll", 8): "1 POLLOUT",
    ("kq_poll", 10): "0",
    ("pipe_both_filters_write_end", 4): "-1 EBADF",
    ("tcp_connect_refused", 5): "-1 EINPROGRESS",
    ("tcp_write_after_peer_close", 14): "0",
}


class RecordedQueue:
    """A queue that reads its answers from the trace."""

    def __init__(self, api: Recorded, fd: int) -> None:
        self.api, self.fd, self.closed = api, fd, False

    def fileno(self) -> int:
        return self.fd

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            os.close(self.fd)

    def control(
        self, changelist: Any, maxevents: int, timeout: float | None = None, /
    ) -> Sequence[Any]:
        return self.api.answer()


class Recorded:
    """The api of a kernel that has only one thing to say."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.world: World | None = None
        self._questions = [i for i, step in enumerate(scenario.steps) if step["op"] == "kevent"]

    def kevent(self, *fields: Any) -> Any:
        return fields

    def kqueue(self) -> RecordedQueue:
        return RecordedQueue(self, os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC))

    def fromfd(self, fd: int) -> RecordedQueue:
        return RecordedQueue(self, fd)

    def answer(self) -> list[SimpleNamespace]:
        index = self._questions.pop(0)
        result = self.scenario.results[index]
        if result["ret"] == -1:
            raise OSError(getattr(errno, result["errno"]), result["errno"])
        return [self._number(event) for event in self.scenario.events(index)]

    def _number(self, event: Event) -> SimpleNamespace:
        assert self.world
        try:
            ident = int(event.ident)
        except ValueError:
            ident = self.world.ident(event.filter, event.ident)
        data: Any = event.data
        if isinstance(data, str):
            data = os.getpid() if data == "pid:self" else getattr(errno, data)
        return SimpleNamespace(
            ident=ident,
            filter=names.filter_number(event.filter),
            flags=event.flags,
            fflags=event.fflags,
            data=data,
            udata=event.udata,
        )


@pytest.mark.parametrize(
    "scenario", [s for s in FREEBSD.values() if not s.isolated], ids=lambda s: s.name
)
def test_the_recording_plays_as_itself(scenario: Scenario) -> None:
    api = Recorded(scenario)
    # Nothing is waited for, so a wait that ended with nothing would look too early.
    quick = parse_without_waits(scenario)
    with World(api) as world:
        api.world = world
        outcomes = player.run(world, quick)
    result = verdict.judge(quick, "recorded", outcomes)
    unlike = {line.number: line.got for line in result.lines if not line.right}
    assert unlike == {
        step: got for (name, step), got in LINUX_ANSWERS.items() if name == scenario.name
    }


def parse_without_waits(scenario: Scenario) -> Scenario:
    """The same questions with zero timeouts and short sleeps."""
    steps = [
        dict(step)
        | ({"timeout_ms": 0} if step["op"] == "kevent" else {})
        | ({"ms": 1} if "ms" in step else {})
        for step in scenario.steps
    ]
    rows = [{"step": s, "result": r} for s, r in zip(steps, scenario.results, strict=True)]
    return parse({"name": scenario.name, "about": "", "kernel": "", "trace": rows})


def test_every_operation_of_the_traces_is_known() -> None:
    used = {
        step["op"]
        for system in ("freebsd", "netbsd")
        for s in load_all(system).values()
        for step in s.steps
    }
    assert used <= {"kevent", *ops.OPS}


def test_every_name_of_the_traces_is_known() -> None:
    for scenario in FREEBSD.values():
        for step in scenario.steps:
            for change in step.get("changes") or ():
                names.filter_number(change["filter"])
                names.flags_number(change.get("flags"))
                names.fflags_number(change["filter"], change.get("fflags"))
        assert len(scenario.answers) == len(scenario.steps)


def test_our_numbers_are_knotes_numbers() -> None:
    import knote

    for table in (names.FILTERS, names.FLAGS, *names.NOTES.values()):
        for name, number in table.items():
            if name != "EV_DROP":  # FreeBSD's own, not for programs
                assert getattr(knote, name) == number, name


@pytest.mark.parametrize(
    ("words", "flags", "number", "text"),
    [
        (["ctrl=0xc0000000", "0xff"], 0, 0xC00000FF, "FFCOPY|0xff"),
        (["NOTE_TRIGGER", 60], 0, 0x0100003C, "TRIGGER|0x3c"),
        (["NOTE_FFOR", 1], 0, 0x80000001, "FFOR|0x1"),
    ],
)
def test_user_fflags_in_words(words: list[str | int], flags: int, number: int, text: str) -> None:
    assert names.fflags_number("EVFILT_USER", words) == number
    assert names.fflags_text("EVFILT_USER", flags, number) == text


def test_fflags_with_eof_are_an_errno() -> None:
    assert names.fflags_text("EVFILT_READ", names.EV_EOF, errno.ECONNRESET) == "ECONNRESET"
    assert names.fflags_text("EVFILT_READ", names.EV_ERROR, 1) == "LOWAT"


def small(
    events: list[dict[str, Any]], timeout_ms: int = 0, elapsed: float | None = None
) -> Scenario:
    """A scenario of one kevent step."""
    step = {"op": "kevent", "kq": "kq", "nevents": 8, "timeout_ms": timeout_ms}
    row: dict[str, Any] = {
        "step": step,
        "result": {"ret": len(events), "errno": None, "events": events},
    }
    if elapsed is not None:
        row["elapsed_ms"] = elapsed
    return parse({"name": "small", "about": "one step", "kernel": "none", "trace": [row]})


READ = {"ident": "r", "filter": "EVFILT_READ", "flags": [], "fflags": [], "data": 3, "udata": 0}


def test_verdicts_without_a_row() -> None:
    scenario = small([READ])
    assert verdict.judge(scenario, "e", [Outcome("r READ d=3")]).kind == "match"
    wrong = verdict.judge(scenario, "e", [Outcome("r READ d=4")])
    assert wrong.kind == "differs"
    assert not wrong.good
    assert "FreeBSD: r READ d=3" in wrong.report()
    assert "knote:   r READ d=4" in wrong.report()


def test_a_row_must_be_what_happens_exactly() -> None:
    scenario = small([READ])
    row = Difference("small", 5, {1: "r READ d=4"}, "Because.")
    assert verdict.judge(scenario, "e", [Outcome("r READ d=4")], row).kind == "as described"
    assert verdict.judge(scenario, "e", [Outcome("r READ d=5")], row).kind == "differs"
    assert verdict.judge(scenario, "e", [Outcome("r READ d=3")], row).kind == "stale row"


def test_a_wait_may_not_end_early_nor_wait_where_freebsd_did_not() -> None:
    nothing = small([], timeout_ms=100, elapsed=108)
    assert verdict.judge(nothing, "e", [Outcome("0", 100.2)]).kind == "match"
    assert verdict.judge(nothing, "e", [Outcome("0", 99.0)]).kind == "differs"
    at_once = small([READ], timeout_ms=2000, elapsed=5)
    assert verdict.judge(at_once, "e", [Outcome("r READ d=3", 900.0)]).kind == "match"
    assert verdict.judge(at_once, "e", [Outcome("r READ d=3", 2001.0)]).kind == "differs"


def test_write_data_is_not_compared() -> None:
    write = READ | {"filter": "EVFILT_WRITE", "data": 16384}
    assert small([write]).answers == ["r WRITE d=*"]


def test_a_crash_is_told_and_does_not_end_the_scenario() -> None:
    class Broken(Recorded):
        def answer(self) -> list[SimpleNamespace]:
            raise AttributeError("no such thing")

    scenario = FREEBSD["add_then_delete_list"]
    outcomes = player.play(scenario, Broken(scenario))
    told = [outcome.text for outcome in outcomes]
    assert told[3:] == ["raised AttributeError: no such thing"] * 2
    assert "Traceback" in outcomes[3].crash


def test_closed_numbers_are_reused_lowest_first() -> None:
    rows = [
        {"op": "pipe", "r": "r", "w": "w"},
        {"op": "close", "fd": "r"},
        {"op": "open", "fd": "f", "path": "f", "flags": ["O_RDWR", "O_CREAT"]},
    ]
    document = [{"step": s, "result": {"ret": 0, "errno": None}} for s in rows]
    scenario = parse({"name": "reuse", "about": "", "kernel": "", "trace": document})
    with World(Recorded(scenario)) as world:
        player.run(world, scenario)
        assert world.fd("f") == world.fd("r")
        assert world.symbol("EVFILT_READ", world.fd("f"), None) == "f"
        assert world.symbol("EVFILT_READ", world.fd("f"), "r") == "r"


def test_a_machine_that_stood_still_is_seen() -> None:
    """By how long a step took, beyond what it asked for, and not by what it answered."""
    steps: list[dict[str, Any]] = [
        {"op": "sleep", "ms": 600},
        {"op": "wait", "proc": "c"},
        {"op": "kevent", "kq": "kq", "changes": [], "nevents": 8, "timeout_ms": 0},
    ]
    rows = [{"step": step, "result": {}} for step in steps]
    scenario = parse({"name": "still", "about": "", "kernel": "", "trace": rows})

    def stalled(*since_ms: float) -> bool:
        return player.stalled(scenario, [Outcome("0", 0.0, "", ms) for ms in since_ms])

    assert not stalled(601, 5000, 3)
    assert stalled(900, 1, 1)
    assert stalled(601, 1, 150)
