"""Traces: read from their files, and written as the short lines that people compare.

A step and its answer are one line each::

    kevent kq [r READ ADD; 777 READ ADD u=2] 8 0  =>  777 READ ERROR d=EBADF u=2

Both what FreeBSD answered and what knote answers go through the same formatter, so comparing is
comparing strings, and what must not be compared (traces/README.md: WRITE's data, fill's totals) is
'*' on both sides.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

from tests.oracle import names

HERE: Final = Path(__file__).resolve().parent / "traces"
NESTED: Final = "nested queues"
"""What a trace needs that watches one queue with another: no filter, but built like one."""
FILE_EDGES: Final = "edges of files"
"""What a trace needs that watches a file with EV_CLEAR: each write to it is news (S-129, S-132)."""
SIGNAL_OPS: Final = frozenset(
    {"kill", "kill_self", "sigblock", "sigunblock", "sigignore", "sigdefault"}
)
PROCESS_OPS: Final = frozenset({"child", "later", "wait"})

Json = Mapping[str, Any]


class Event(NamedTuple):
    """One returned kevent with the ident as the trace calls it."""

    ident: str
    filter: str | int
    flags: int
    fflags: int
    data: int | str
    udata: Any

    def __str__(self) -> str:
        words = [self.ident, str(self.filter).removeprefix("EVFILT_")]
        if self.flags:
            words.append(names.flags_text(self.flags))
        if self.fflags:
            words.append("ff=" + names.fflags_text(self.filter, self.flags, self.fflags))
        words.append(f"d={self._data_text()}")
        if self.udata:
            words.append(f"u={self.udata}")
        return " ".join(words)

    def _data_text(self) -> str:
        if self.flags & names.EV_ERROR:
            return (
                names.errno_text(self.data)
                if self.data and isinstance(self.data, int)
                else str(self.data)
            )
        # Sizes of kernel buffers are the kernel's own: not compared.
        return "*" if self.filter == "EVFILT_WRITE" else str(self.data)


def recorded_event(json_event: Json) -> Event:
    """An event as it stands in a trace."""
    flt = json_event["filter"]
    ident = json_event["ident"]
    return Event(
        ident=ident if isinstance(ident, str) else str(ident % 2**64),
        filter=flt,
        flags=names.flags_number(json_event["flags"]),
        fflags=names.fflags_number(flt, json_event["fflags"]),
        data=json_event["data"],
        udata=json_event["udata"],
    )


def answer_text(op: str, result: Json) -> str:
    """The answer to one step; *result* has ret, errno, and events or what else the step tells."""
    ret, why = result["ret"], result.get("errno")
    if ret == -1:
        return f"-1 {why}"
    if op == "kevent":
        return "; ".join(str(event) for event in result["events"]) or "0"
    words = ["*" if op in ("fill", "drain") else str(ret)]
    if why:
        words.append(why)
    for key, value in result.items():
        if key not in ("ret", "errno", "events") and value not in ([], None):
            words.append("|".join(value) if isinstance(value, list) else f"{key}={value}")
    return " ".join(words)


def change_text(change: Json) -> str:
    """One change: ident, filter, flags, and what else it carries."""
    flt = change["filter"]
    words = [str(change["ident"]), str(flt).removeprefix("EVFILT_")]
    if change.get("flags"):
        words.append(names.flags_text(names.flags_number(change["flags"])))
    if change.get("fflags"):
        words.append("ff=" + names.fflags_text(flt, 0, names.fflags_number(flt, change["fflags"])))
    words += [
        f"{short}={change[key]}" for short, key in (("d", "data"), ("u", "udata")) if key in change
    ]
    return " ".join(words)


def step_text(step: Json) -> str:
    """The question of one step."""
    if step["op"] == "kevent":
        changes = "; ".join(change_text(change) for change in step.get("changes") or ())
        if step.get("timespec"):
            wait = "{{{}, {}}}".format(*step["timespec"])
        else:
            ms = step["timeout_ms"]
            wait = "null" if ms is None else f"{ms}ms" if ms else "0"
        return f"kevent {step['kq']}{f' [{changes}]' if changes else ''} {step['nevents']} {wait}"
    words = [
        "|".join(map(str, value)) if isinstance(value, list) else str(value)
        for key, value in step.items()
        if value is not True or key == "op"
    ]
    return " ".join(words + [key for key, value in step.items() if value is True])


@dataclass(frozen=True)
class Scenario:
    """One recorded trace."""

    name: str
    about: str
    kernel: str
    steps: Sequence[Json]
    results: Sequence[Json]
    elapsed_ms: Sequence[float | None]

    def as_json(self) -> str:
        """The trace as parse() takes it."""
        rows = [
            {"step": step, "result": result, "elapsed_ms": elapsed}
            for step, result, elapsed in zip(self.steps, self.results, self.elapsed_ms, strict=True)
        ]
        told = {"name": self.name, "about": self.about, "kernel": self.kernel, "trace": rows}
        return json.dumps(told)

    @cached_property
    def answers(self) -> list[str]:
        """What the recorded kernel answered, one line per step."""
        return [
            answer_text(step["op"], {**result, "events": self.events(i)})
            for i, (step, result) in enumerate(zip(self.steps, self.results, strict=True))
        ]

    def events(self, index: int) -> list[Event]:
        """The events that step *index* (from 0) returned."""
        return [recorded_event(event) for event in self.results[index].get("events") or ()]

    @cached_property
    def needs(self) -> frozenset[str]:
        """The filters that the trace uses, by name; filters that do not exist are no need."""
        found: set[str] = set()
        queues = {step["fd"] for step in self.steps if step["op"] == "kqueue"}
        files = {step["fd"] for step in self.steps if "O_CREAT" in step.get("flags", ())}
        for step in self.steps:
            for change in step.get("changes") or ():
                if change["filter"] in names.FILTERS:
                    found.add(change["filter"])
                    if change["filter"] in names.FD_FILTERS and change["ident"] in queues:
                        found.add(NESTED)
                    if change["filter"] in ("EVFILT_READ", "EVFILT_WRITE"):
                        if change["ident"] in files and "EV_CLEAR" in change["flags"]:
                            found.add(FILE_EDGES)
        return frozenset(found)

    @cached_property
    def isolated(self) -> bool:
        """Signals and children: played apart, so that our process keeps its dispositions."""
        return any(step["op"] in SIGNAL_OPS | PROCESS_OPS for step in self.steps)

    @cached_property
    def patience_s(self) -> float:
        """After how many seconds the player gives up: all waits of the trace, and then some."""
        waits = sum(
            step.get("timeout_ms") or step.get("ms") or step.get("after_ms") or 0
            for step in self.steps
        )
        return 20 + waits / 1000


def parse(document: Json) -> Scenario:
    """A trace's JSON as a scenario."""
    rows = document["trace"]
    return Scenario(
        name=document["name"],
        about=document["about"],
        kernel=document["kernel"],
        steps=[row["step"] for row in rows],
        results=[row["result"] for row in rows],
        elapsed_ms=[row.get("elapsed_ms") for row in rows],
    )


def load(path: Path) -> Scenario:
    """Read one trace file."""
    return parse(json.loads(path.read_text()))


def load_all(system: str = "freebsd", folder: Path = HERE) -> dict[str, Scenario]:
    """Every trace of *system* by name, in the order of names."""
    return {path.stem: load(path) for path in sorted((folder / system).glob("*.json"))}
