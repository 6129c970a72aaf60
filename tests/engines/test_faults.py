"""Each system call of the kernel room fails, once and for good, in each thing that a queue does, and several do at
once: it is said, nothing is half-done, nothing is lost, and it works again.

tests/support/faults.py makes them fail, scenes*.py are what a queue does, and
tests/support/kernelcalls.py lists the calls.  `make soak-faults` tries every place with every errno.
"""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Final

import pytest

import knote
from tests import gates
from tests.engines import scenes, scenes_filters, scenes_programs, scenes_sleepers
from tests.engines.scenes import Scene
from tests.support import installed, kernelcalls
from tests.support.faults import Faults, play

ONE_EACH: Final = 4
"""The first call of a kind is made to fail in each way; so many more of the kind in one way each, in turn."""
FEW_SEEDS: Final = 5
SEEDS: Final = 100
"""So many performances of each scene in which several calls fail, in the suite and in `make soak-faults`."""
ENGINE: Final = "engine"
FILTERS: Final = "filters"
NO_CALL: Final = re.compile(
    r"for|if|while|switch|return|sizeof|int|void|_Atomic|_Static_assert|__attribute__|attribute|optimize|tls_model"
    r"|(__)?atomic_\w+|(mem|str)\w+|[cm]alloc|malloc_trim|realloc|free|sysconf|snprintf|atoi|htonl|sig\w+set|sigismember"
    r"|pthread_(atfork|create|join|kill|cond_\w+|mutex_\w+)|aio_\w+|syscall|chain|sleep"
)
"""What looks like a call in a header and is the language's, or stays in the C library: its memory, its locks, its
threads of aio(7); `chain` and `sleep` are pointers to functions of the header's own."""
TWINS_HAVE_NOT: Final = {"epoll_pwait2", "preadv2", "recvmmsg", "recvmsg", "select", "sendmsg"}
NEEDED: Final = {
    "mq_getsetattr": "mq_open", "recvmmsg": "proc connector", "io_uring_enter": "io_uring",
    "io_uring_register": "io_uring", "io_uring_setup": "io_uring", "preadv2": "io_uring",
}  # fmt: skip
"""Calls that are made only where something is to be had."""
FOR_GOOD: Final = (errno.EPERM, errno.ENOSYS)
"""What a sandbox answers, always."""
CONNECTOR: Final = ("socket", "setsockopt", "bind", "getsockname", "sendto", "send", "recv")


def said(call: str, error: int) -> set[int]:
    """The errnos with which knote may say that a call failed with this one."""
    words = {error}
    if error == errno.EPERM:
        words.add(errno.EACCES)  # of what an engine is made of: EPERM would say that a file cannot be watched
    if error in FOR_GOOD and call in CONNECTOR:
        words.add(errno.EOPNOTSUPP)  # the process connector does not answer here
    if call == "pread":
        words.add(errno.EIO)  # the table of mounts cannot be read
    if call in ("io_uring_register", "mmap"):
        words.add(errno.ENOMEM)  # no buffers for a server's ring
    return words


SAID: Final = frozenset().union(*(said(call, error) for call in kernelcalls.CALLS for error in kernelcalls.ERRORS))


def rounds(trace: list[int], every: bool, for_good: bool = True) -> Iterable[tuple[dict[str, int], int]]:
    """What is to fail in a scene that makes these calls, and how."""
    seen: Counter[int] = Counter()
    for place, number in enumerate(trace):
        errors = kernelcalls.errors(number)
        nth = seen[number]
        if nth and not every:
            errors = [errors[place % len(errors)]] if nth <= ONE_EACH else []
        seen[number] += 1
        for error in errors:
            yield {"number": number, "nth": nth}, error
    for number in seen if for_good else ():
        for error in FOR_GOOD:
            if error in kernelcalls.errors(number):
                yield {"number": number}, error
    for seed in range(1, (SEEDS if every else FEW_SEEDS) + 1):
        yield {"seed": seed}, 0


def perform(faults: Faults, make: type[Scene], engine: str, what: dict[str, int], error: int) -> list[int]:
    """One performance; the calls of its act."""
    before = os.listdir("/proc/self/fd")
    scene = make(engine)
    scene.several = "seed" in what
    refused = None
    faults.arm(error, **what)
    try:
        scene.act()
    except OSError as caught:
        refused = caught
    finally:
        trace = faults.disarm()
    try:
        if refused is not None:
            words = said(kernelcalls.name(what["number"]), error) if "number" in what else SAID
            assert what and refused.errno in words, refused
        scene.after(refused)
    finally:
        scene.close()
    assert os.listdir("/proc/self/fd") == before, "descriptors are left"
    return trace


def perform_all(program: Iterable[type[Scene]], engine: str, every: bool) -> Callable[[Faults], None]:
    def body(faults: Faults) -> None:
        os.environ["KNOTE_IO_URING"] = "1"  # else no ring is made under a filter, which is one
        for make in program:
            if any(gates.find(None, [need]) for need in make.NEEDS):
                continue
            for _ in range(2):
                trace = perform(faults, make, engine, {}, 0)
            for what, error in rounds(trace, every, make.FOR_GOOD):
                try:
                    perform(faults, make, engine, what, error)
                except BaseException as failure:
                    failure.add_note(f"{make.__name__} on {engine}: {which(what, error, trace)}")
                    raise

    return body


def which(what: dict[str, int], error: int, trace: list[int]) -> str:
    """What failed, in words."""
    if "seed" in what:
        return f"several, seed {what['seed']}"
    number = what["number"]
    times = f"{what['nth'] + 1} of {trace.count(number)}" if "nth" in what else "always"
    return f"{kernelcalls.name(number)} ({times}): {errno.errorcode[error]}"


def play_all(engine: str, of: str, every: bool) -> set[tuple[int, int]]:
    """Which calls failed, and how, while this engine did all that it does."""
    of_engines = *scenes.SCENES, *scenes_sleepers.SCENES
    program = of_engines if of == ENGINE else (*scenes_filters.SCENES, *scenes_programs.SCENES)
    failed = play(perform_all(program, engine, every), kernelcalls.numbers())
    # What is an answer was not made up: knote would have been right to believe it.
    assert not {(kernelcalls.name(number), error) for number, error in failed} & kernelcalls.MEANS.keys()
    return failed


@cache
def played(engine: str, of: str) -> frozenset[tuple[int, int]]:
    """The same, in an interpreter of its own: the C library carries out no POSIX AIO in a child of a process that
    used it, as this one may have done by now."""
    command = [sys.executable, "-W", "error", "-m", "tests.engines.test_faults", "--once", engine, of]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return frozenset((number, error) for number, error in json.loads(ran.stdout))


@pytest.mark.needs("calls that fail")
@pytest.mark.parametrize("name", installed.engine_names())
def test_no_engine_loses_anything(name: str) -> None:
    gates.apply(name)
    assert played(name, ENGINE)


@pytest.mark.needs("calls that fail")
def test_no_filter_loses_anything() -> None:
    assert played(installed.engine_names()[0], FILTERS)


@pytest.mark.needs("calls that fail")
def test_each_call_was_made_to_fail() -> None:
    """As far as this build and this machine make it: the interpreted twins have other ways to some things."""
    failed = set(played(installed.engine_names()[0], FILTERS))
    for name in installed.engine_names():
        if not gates.find(name):
            failed |= played(name, ENGINE)
    spared = {
        name
        for name, call in kernelcalls.CALLS.items()
        if not call.left and not any(number in call.numbers for number, _ in failed)
    }
    if installed.build() == "interpreted":
        spared -= TWINS_HAVE_NOT
    assert spared <= {name for name, need in NEEDED.items() if gates.find(None, [need])}


def calls_of(text: str) -> set[str]:
    """The functions that a header calls and does not define, and its SYS_ numbers."""
    text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    text = re.sub(r'"(\\.|[^"\\])*"', '""', text)
    named = set(re.findall(r"\bSYS_(\w+)", text))
    text = re.sub(r"^\s*#.*?(?<!\\)$", "", text, flags=re.MULTILINE | re.DOTALL)
    return named | {name for name in re.findall(r"\b([a-z_]\w*)\s*\(", text) if not name.startswith("kn_")}


def test_the_list_is_whole() -> None:
    """A call that is new in the kernel room has no row, and fails here; so does a row whose call has gone."""
    room = Path(knote.__file__).parent / "_kernel"
    called = set().union(*(calls_of(path.read_text()) for path in room.glob("kn_*.h")))
    assert {name for name in called if not NO_CALL.fullmatch(name)} == set(kernelcalls.CALLS)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--once"]:
        print(json.dumps(sorted(play_all(sys.argv[2], sys.argv[3], every=False))))
        sys.exit()
    for engine in sys.argv[1:] or installed.engine_names():
        for of in (ENGINE, FILTERS):
            print(engine, of, len(play_all(engine, of, every=True)), "failures", flush=True)
