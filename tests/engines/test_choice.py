"""Which engine a queue gets, and who says why."""

from __future__ import annotations

import errno
import json
import os
import resource
from contextlib import ExitStack

import pytest

import knote
from knote import EV_ADD, EV_CLEAR, EV_RECEIPT, EVFILT_READ, EVFILT_TIMER, EVFILT_USER, engines, kevent
from knote.cli.engines import FOREIGN
from tests.apps.programs import knote as run
from tests.support import installed


def test_by_itself_no_engine_with_surprises() -> None:
    for name in engines.names():
        chosen = engines.choose(name)
        assert chosen.name == name
        assert chosen.about, name
        assert (chosen is engines.choose()) == (name == engines.explain().engine.name)
    assert not engines.choose().traits.surprise
    assert engines.with_edges().traits.edge


def test_whose_choice_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    assert engines.explain("poll") == (engines.choose("poll"), "it was asked for")
    monkeypatch.setenv("KNOTE_ENGINE", "select")
    assert engines.explain() == (engines.choose("select"), "KNOTE_ENGINE=select")
    assert engines.explain("poll").engine.name == "poll"


def test_what_the_program_shows() -> None:
    said = json.loads(run("engines", "--json").stdout)
    assert [row["name"] for row in said["engines"]] == engines.names()
    assert [row["name"] for row in said["engines"] if row["chosen"]] == [said["chosen"]["name"]]
    assert [row["name"] for row in said["elsewhere"]] == [name for name, _ in FOREIGN]
    for row in said["engines"]:
        assert row["here"] == (not installed.engine_refusal(row["name"])), row
    text = run("engines", "select", "--why").stdout.decode()
    assert "watches descriptors below 1024" in text
    # Each says why it is not the one, or that it is.
    for name in engines.names():
        said = run("engines", name, "--why").stdout.decode().partition(f"\n{name}\n  ")[2]
        here = not installed.engine_refusal(name)
        if name == engines.explain().engine.name:
            assert said.startswith("tells "), said
        else:
            assert said.startswith("by name only: " if here else "cannot be had here: ") or (
                here and said.startswith("could be taken by itself") and not engines.choose(name).traits.surprise
            ), said
    wrong = run("engines", "kpoll")
    assert (wrong.returncode, b"unknown engine 'kpoll'" in wrong.stderr) == (2, True)


@pytest.mark.parametrize(
    "words",
    [
        ("serve", "--port", "0"), ("cat", os.devnull), ("connect", "127.0.0.1", "1"), ("wait", "--timer", "1ms"),
        ("bench", "--only", "nested"),
    ],
    ids=lambda words: words[0],
)  # fmt: skip
def test_programs_say_of_an_engine_why_it_cannot_be_had(words: tuple[str, ...]) -> None:
    """And blame nothing else: not an address, not a file."""
    for name, status in (("uring", 1), ("uring-poll", 1), ("kpoll", 1 if words[0] == "cat" else 2)):
        for more, variable in ((("--engine", name), {}), ((), {"KNOTE_ENGINE": name})):
            if words[0] == "cat" and variable:
                continue  # it needs no queue for this, unless told so
            done = run(*words, *more, env=os.environ | {"KNOTE_IO_URING": "0"} | variable)
            said = done.stderr.decode().splitlines()[0]
            reason = f"unknown engine {name!r}; this system has: {', '.join(engines.names())}"
            if name != "kpoll":
                assert said.endswith(": KNOTE_IO_URING=0"), said
                reason = f"engine {name!r}: "
            assert said.startswith(f"knote {words[0]}: ") and reason in said, said
            assert "listen" not in said and "127.0.0.1" not in said
            assert (done.returncode, done.stdout) == (status, b"")


def test_select_and_numbers_beyond_its_set() -> None:
    """What knote needs itself stays possible; what is watched is refused with the limit and the way out."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 2048)), hard))
    try:
        with ExitStack() as stack:
            kq = stack.enter_context(knote.kqueue(engine="select"))
            r, w = os.pipe()
            stack.callback(os.close, r)
            stack.callback(os.close, w)
            os.dup2(r, 1500)
            stack.callback(os.close, 1500)
            for flags in (EV_ADD, EV_ADD | EV_CLEAR):
                with pytest.raises(OSError, match=r"below 1024 \(FD_SETSIZE\).*engine='poll'") as refused:
                    kq.control([kevent(1500, EVFILT_READ, flags)], 0)
                assert refused.value.errno == errno.ERANGE
            # In a list, too, and what is before it stays.
            wanted = [kevent(r, EVFILT_READ, EV_ADD), kevent(1500, EVFILT_READ, EV_ADD | EV_RECEIPT)]
            assert [(e.ident, e.data) for e in kq.control(wanted, 8, 0)] == [(1500, errno.ERANGE)]
            os.write(w, b"x")
            assert [e.ident for e in kq.control(None, 8, 1)] == [r]
            # All low numbers taken: the queue's own descriptors find another way.
            low = [os.dup(r)]
            while low[-1] < 1024:
                low.append(os.dup(r))
            for fd in low:
                stack.callback(os.close, fd)
            os.read(r, 1)
            kq.control([kevent(1, EVFILT_TIMER, EV_ADD, 0, 1), kevent(2, EVFILT_USER, EV_ADD)], 0)
            assert [e.filter for e in kq.control(None, 8, 5)] == [EVFILT_TIMER]
            with pytest.raises(OSError, match=r"FD_SETSIZE") as refused:
                knote.kqueue(engine="select")
            assert refused.value.errno == errno.ERANGE
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
