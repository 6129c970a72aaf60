"""What does it cost to be told of changed files, and how soon is one told?

Thousands of files are opened, written to and closed once each, and whoever watches them tells of every one; an
event that does not come ends the measurement.  The time is what that adds to the same writes where nobody watches.
The peers watch the directory, which is their way, and have threads; a kqueue watches each file.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from bench import machine, watchers
from bench.model import Case, Loop, Ratio, Row, Settings

FILES = 10_000


@contextlib.contextmanager
def rows(settings: Settings) -> Iterator[list[Row]]:
    """All files at once, then one after the other; beside watchfiles, then beside watchdog."""
    limit = machine.raise_descriptor_limit() - 200
    count = min(settings.sized(FILES), limit)
    with contextlib.ExitStack() as stack:
        folders = [stack.enter_context(watchers.files(count)) for _ in range(4)]
        ours = stack.enter_context(watchers.by_kqueue(folders[0]))
        # The rate is compared by its inverse, the time per event.
        peers = [("watchfiles", watchers.by_watchfiles, 1.0), ("watchdog", watchers.by_watchdog, 1 / 3)]
        made: list[Row] = []
        for folder, (name, watch, target) in zip(folders[1:3], peers, strict=True):
            theirs = stack.enter_context(watch(folder))
            made += [
                Ratio(
                    f"{count} files written to once each, beside {name}",
                    Loop("EVFILT_VNODE", watchers.each_written(folders[0], folders[3], ours), count),
                    Loop(name, watchers.each_written(folder, folders[3], theirs), count),
                    round(target, 2),
                    realtime=False,
                ),
                Ratio(
                    f"one file: from write to event, beside {name}",
                    Loop("EVFILT_VNODE", watchers.one_written(folders[0], ours)),
                    Loop(name, watchers.one_written(folder, theirs)),
                    1.0,
                    realtime=False,
                ),
            ]
        yield made


CASE = Case("files", "What does it cost to be told of changed files, and how soon is one told?", rows, heavy=True)
