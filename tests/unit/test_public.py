"""The public names, and what they say of themselves."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
import weakref
from typing import Any

import pytest

import knote
from tests.support import installed


def test_all_is_sorted_out_and_there() -> None:
    assert len(set(knote.__all__)) == len(knote.__all__)
    for name in knote.__all__:
        assert hasattr(knote, name), name
    for name in ("kqueue", "kevent", "build_info", "macos"):
        assert name in knote.__all__


def test_version_is_that_of_build_info() -> None:
    assert knote.build_info()["version"] in (knote.__version__, "unknown")


def test_build_info_names_every_module_once() -> None:
    modules = knote.build_info()["modules"]
    for name in ("knote.queue", "knote.kevent", "knote.kqueue", "knote._kernel.epoll"):
        assert name in modules
    assert {info["compiled"] for info in modules.values()} in ({True}, {False})


def test_a_queue_needs_no_sockets() -> None:
    """Nor what else a program may never use: `socket` and what it needs are a tenth of the import.  The
    interpreted twins ask of sockets by it."""
    unused = {"argparse", "asyncio", "subprocess", "knote.aio"}
    unused |= {"selectors", "socket"} if installed.build() == "compiled" else set()
    code = f"import sys; from knote import kqueue; kqueue().close(); print({unused!r} & set(sys.modules))"
    # -S: what an environment's .pth files import is not ours.
    path = {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-S", "-c", code]
    done = subprocess.run(command, env=path, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("set()\n", "")


def test_importing_changes_nothing_of_select() -> None:
    """S-327: never injected implicitly."""
    import select

    assert not [name for name in dir(select) if name.startswith("KQ_") or name[:2] == "kq"]


def test_kqueue_takes_no_argument_by_position() -> None:
    """S-288."""
    with pytest.raises(TypeError):
        knote.kqueue(1)  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        knote.kqueue(size=1)  # type: ignore[call-arg]


def test_an_engine_that_is_not_there() -> None:
    with pytest.raises(ValueError, match=r"unknown engine 'kpoll'; this system has: .*epoll"):
        knote.kqueue(engine="kpoll")


def test_the_engine_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KNOTE_ENGINE", "kpoll")
    with pytest.raises(ValueError, match="kpoll"):
        knote.kqueue()
    monkeypatch.setenv("KNOTE_ENGINE", "poll")
    knote.kqueue().close()


@pytest.mark.parametrize("kind", [knote.kqueue, knote.kevent])
def test_no_base_class(kind: Any) -> None:
    """S-289, S-324: select's types cannot be derived from."""
    with pytest.raises(TypeError):
        type("Derived", (kind,), {})


def test_docstrings_reach_help() -> None:
    for thing in (knote.kqueue, knote.kqueue.control, knote.kqueue.fromfd, knote.kevent):
        assert inspect.getdoc(thing), thing


def test_a_queue_that_is_let_go_of_gives_its_descriptor_back() -> None:
    """S-293: silently."""
    queue = knote.kqueue()
    number, gone = queue.fileno(), weakref.ref(queue)
    del queue
    assert gone() is None
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(number)
