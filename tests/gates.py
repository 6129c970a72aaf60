"""The one table of what is not tested, where, and why.

A test never skips by itself: it says what it needs (``@pytest.mark.needs("EVFILT_VNODE")``,
the ``engine`` fixture says it for engines), and a row here, if one applies, skips it with the row's
reason. ``python -m tests.gates`` prints the matrix of engines and of rows for README and docs.

Rows are data.  ``closed`` is asked at run time: a row stops to apply by itself when what it waits
for is there, and test_gates.py then asks to take it out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from tests.oracle.document import PAGE
from tests.support import balancer, cgroup, faults, installed, namespaces, others

BENCH: Final = Path(__file__).parents[1] / "bench"
EXAMPLES: Final = Path(__file__).parents[1] / "examples"


@dataclass(frozen=True)
class Asked:
    """What a test is about to use."""

    engine: str | None = None
    needs: frozenset[str] = field(default_factory=frozenset)


@dataclass(frozen=True)
class Gate:
    """One row: what it closes, while what holds, and why."""

    why: str
    engine: str | None = None
    need: str | None = None
    build: str | None = None
    closed: Callable[[Asked], bool] = lambda _asked: True
    """Whether the row applies here and now, once engine, need and build match."""
    temporary: bool = False
    """Waits for something to be built: to be taken out once it no longer applies."""

    def applies(self, asked: Asked) -> bool:
        """The test that asks must be skipped."""
        return (
            self.engine in (None, asked.engine)
            and (self.need is None or self.need in asked.needs)
            and self.build in (None, installed.build())
            and self.closed(asked)
        )

    @property
    def what(self) -> str:
        """The row's left side, in words."""
        return ", ".join(word for word in (self.engine, self.need, self.build) if word)


def not_built(name: str, words: str | None = None) -> Gate:
    """A filter that is still to come."""
    return Gate(
        need=name,
        closed=lambda _asked: not installed.has_filter(name),
        why=words or f"{name} is not built yet",
        temporary=True,
    )


def refused_here(engine: str) -> Gate:
    """An engine that this kernel or sandbox does not allow; the reason is the engine's own."""
    return Gate(
        engine=engine,
        closed=lambda _asked: bool(installed.engine_refusal(engine)),
        why=f"engine {engine!r}: {installed.engine_refusal(engine) or 'usable here'}",
    )


def no_carrier(name: str, why: str) -> Gate:
    """A way of carrying out requests that this kernel, sandbox or C library does not give."""
    return Gate(need=name, closed=lambda _asked: bool(installed.carrier_refusal(name)), why=why)


GATES: Final[tuple[Gate, ...]] = (
    Gate(
        need="high numbers",
        closed=lambda asked: asked.engine is not None and installed.traits(asked.engine).max_fd > 0,
        why="select(2) has no room for so many descriptors (FD_SETSIZE)",
    ),
    Gate(
        need="order",
        closed=lambda asked: asked.engine is not None and not installed.traits(asked.engine).ordered,
        why="the engine looks at its descriptors one by one, or again behind others, whichever became true first",
    ),
    Gate(
        need="errors unasked",
        engine="select",
        why="select(2) tells of exceptions but not of errors: a reset that only an EXCEPT knote is there for"
        " leaves the queue's descriptor readable",
    ),
    Gate(
        need="edges in threads",
        closed=lambda asked: asked.engine is not None and installed.traits(asked.engine).single_thread,
        why="the engine reports edges to the thread that made the queue",
    ),
    Gate(
        need="EVFILT_SIGNAL exact",
        build="interpreted",
        why="a Python handler runs once for however many signals came; only a handler in C counts each",
    ),
    Gate(
        need="EVFILT_SIGNAL in threads",
        build="interpreted",
        why="only the main thread runs Python handlers and exchanges them, and when it comes to it",
    ),
    Gate(
        need="EVFILT_SIGNAL beside C",
        build="interpreted",
        why="from Python, a handler that C code installed cannot be called, nor its flags be kept",
    ),
    Gate(
        need="EVFILT_SIGNAL in children",
        build="interpreted",
        why="what a child of C code does before it executes a program is beyond Python's hooks",
    ),
    Gate(
        need="setup.py once",
        build="interpreted",
        why="setup.py builds a toy of its own here, whichever build knote is: these tests run on the compiled one",
    ),
    Gate(
        need="every case of the benchmark",
        build="interpreted",
        why="what is measured is the compiled build; the program itself is tested here by test_bench_program.py",
    ),
    no_carrier("io_uring", "refused here: by the kernel, by kernel.io_uring_disabled, or since seccomp may kill"),
    no_carrier("posix", "this C library has no aio_read(3), or none that a forked child may use"),
    Gate(
        need="calls that fail",
        closed=lambda _asked: bool(faults.refusal()),
        why=f"one process cannot answer for another's system calls here: {faults.refusal() or 'it can'}",
    ),
    Gate(
        need="proc connector",
        closed=lambda _asked: not installed.has_connector(),
        why="forks and execs are told in the initial pid and user namespaces only (netlink, CN_PROC)",
    ),
    Gate(
        need="docs/",
        closed=lambda _asked: not PAGE.exists(),
        why="an installed package is tested away from the documentation's sources",
    ),
    Gate(
        need="examples/",
        closed=lambda _asked: not EXAMPLES.exists(),
        why="an installed package is tested away from the examples",
    ),
    Gate(
        need="bench/",
        closed=lambda _asked: not BENCH.exists(),
        why="an installed package is tested away from its benchmarks",
    ),
    Gate(
        need="a server's ring",
        closed=lambda _asked: bool(installed.ring_refusal()),
        why=f"the server's driver on io_uring: {installed.ring_refusal() or 'usable here'}",
    ),
    Gate(
        need="root",
        closed=lambda _asked: os.getuid() != 0,
        why="only root can become somebody who may not read a file that it has open",
    ),
    Gate(
        need="another user",
        closed=lambda _asked: bool(others.refusal()),
        why="only root can run a program as another user, who must be able to read the interpreter",
    ),
    Gate(
        need="user namespaces",
        closed=lambda _asked: bool(namespaces.refusal(0)),
        why="unshare(CLONE_NEWUSER) is refused here: inotify's limits are everybody's, and the process connector"
        " is not silent",
    ),
    Gate(
        need="MPTCP",
        closed=lambda _asked: not installed.has_mptcp(),
        why="this kernel has no MPTCP, or net.mptcp.enabled is 0",
    ),
    Gate(
        need="mq_open",
        closed=lambda _asked: not installed.has_message_queues(),
        why="this kernel has no POSIX message queues",
    ),
    Gate(
        need="test.test_kqueue",
        closed=lambda _asked: find_spec("test.test_kqueue") is None,
        why="this interpreter was installed without CPython's own tests",
    ),
    Gate(
        need="mount namespace",
        closed=lambda _asked: bool(namespaces.refusal(namespaces.MOUNT)),
        why="this sandbox lets nobody make a user and mount namespace (user.max_user_namespaces, seccomp)",
    ),
    Gate(
        need="network namespace",
        closed=lambda _asked: bool(namespaces.refusal(namespaces.NET)),
        why="this sandbox lets nobody make a user and network namespace (user.max_user_namespaces, seccomp)",
    ),
    Gate(
        need="haproxy",
        closed=lambda _asked: balancer.missing(),
        why="HAProxy, iproute2 or unshare(1) is not installed, or nobody may make network namespaces here",
    ),
    Gate(
        need="memory pressure",
        closed=lambda _asked: not installed.pressure(),
        why="no /proc/pressure/memory that takes a trigger (CONFIG_PSI, psi=1, a sandbox)",
    ),
    Gate(
        need="memory cgroup",
        closed=lambda _asked: not cgroup.usable(),
        why="memory can be made short for a process only in a cgroup, and making one needs root",
    ),
    Gate(
        need="watchfiles",
        closed=lambda _asked: find_spec("watchfiles") is None or find_spec("watchdog") is None,
        why="watchfiles and watchdog are not installed, which knote's extra `bench` has",
    ),
    Gate(
        need="matplotlib",
        closed=lambda _asked: find_spec("matplotlib") is None,
        why="matplotlib is not installed, which knote's extra `bench` has",
    ),
    Gate(
        need="gevent",
        closed=lambda _asked: find_spec("gevent") is None,
        why="gevent is not installed, which knote's extra `test` has",
    ),
    Gate(
        need="trio",
        closed=lambda _asked: find_spec("trio") is None,
        why="trio is not installed, which knote's extra `test` has",
    ),
)


def gates() -> Iterable[Gate]:
    """All rows: the table above, and one for each engine."""
    yield from GATES
    for name in installed.engine_names():
        yield refused_here(name)


def find(engine: str | None = None, needs: Iterable[str] = ()) -> Gate | None:
    """The first row that closes the way to a test with these needs."""
    asked = Asked(engine, frozenset(needs))
    return next((gate for gate in gates() if gate.applies(asked)), None)


def apply(engine: str | None = None, needs: Iterable[str] = ()) -> None:
    """Skip the running test if a row says so.  The only skip in all of tests/."""
    gate = find(engine, needs)
    if gate:
        import pytest

        pytest.skip(gate.why)


def matrix() -> str:
    """Engines and rows as Markdown, for README and docs."""
    lines = ["| engine | here |", "|---|---|"]
    for name in installed.engine_names():
        gate = find(name)
        lines.append(f"| {name} | {gate.why if gate else 'tested'} |")
    lines += ["", "| not tested | why | here |", "|---|---|---|"]
    for gate in GATES:
        asked = Asked(gate.engine, frozenset({gate.need} if gate.need else ()))
        lines.append(
            f"| {gate.what} | {gate.why} | {'closed' if gate.applies(asked) else 'open'} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(matrix())
