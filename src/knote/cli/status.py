"""How far a copy has come: on SIGUSR1, every second with --progress, and at the end with --json."""

from __future__ import annotations

import errno
import os
import signal
import sys
from typing import TYPE_CHECKING, Any

from knote import EV_ADD, EVFILT_TIMER, kevent
from knote.apps import held
from knote.apps.handler import Handler
from knote.apps.legible import plain
from knote.cli.say import say

if TYPE_CHECKING:
    from collections.abc import Callable

    from knote import kqueue
    from knote.apps.record import Record, Tally

_DUMB = ("dumb", "unknown")
"""Terminals on which nothing can be drawn over: rich would say nothing before the end."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def size_text(count: float) -> str:
    """'1.21 GiB', '17 B'."""
    unit = 0
    while count >= 1024 and unit < len(_UNITS) - 1:
        count /= 1024
        unit += 1
    return f"{count:.{2 if unit else 0}f} {_UNITS[unit]}"


def time_text(seconds: float) -> str:
    """'0:01:05'."""
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def line(name: str, count: int, size: int | None, seconds: float) -> str:
    """'notes.txt: 1.00 GiB of 2.00 GiB, 50 %, 512.00 MiB/s, 0:00:02, ETA 0:00:02'."""
    rate = count / seconds if seconds > 0 else 0.0
    words = [size_text(count), f"{size_text(rate)}/s", time_text(seconds)]
    if size:
        words[:1] = [f"{size_text(count)} of {size_text(size)}", f"{min(100, 100 * count // size)} %"]
        if count and rate:
            words.append(f"ETA {time_text(max(0, size - count) / rate + 0.5)}")
    return f"{plain(name)}: {', '.join(words)}"


def lines(tally: Tally) -> str:
    """The file that is being copied; the total too, where there are more."""
    found = [line(record.name, record.bytes, record.size, record.seconds) for record in tally.records[-1:]]
    if len(tally.records) > 1:
        found.append(line("total", tally.bytes, tally.size, tally.seconds))
    return "; ".join(found)


def as_dict(tally: Tally) -> dict[str, Any]:
    """For JSON: sizes in bytes, times in seconds."""
    return {"files": [_file(record) for record in tally.records], **_numbers(tally)}


def _numbers(of: Tally | Record) -> dict[str, Any]:
    count, seconds = of.bytes, of.seconds
    eta = (of.size - count) * seconds / count if of.size is not None and count else None
    return {
        "bytes": count,
        "size": of.size,
        "seconds": round(seconds, 6),
        "rate": round(count / seconds) if seconds > 0 else None,
        "eta": None if eta is None else max(0.0, round(eta, 3)),
    }


def _file(record: Record) -> dict[str, Any]:
    found = {"name": record.name, **_numbers(record), "way": record.way or None, "error": None}
    if record.error is not None:
        found["error"] = record.error.strerror
    return found


def _say(told: dict[str, Any]) -> None:
    import json  # 4 ms, which only who asks for it has to wait

    say(json.dumps(told))


def report(tally: Tally, status: int) -> None:
    """The last line of --json."""
    _say({"event": "end", "status": status, **as_dict(tally)})


def tell(error: OSError) -> None:
    """An error, for --json."""
    name = None if error.filename is None else os.fsdecode(error.filename)
    code = errno.errorcode.get(error.errno or 0)
    _say({"event": "error", "name": name, "errno": code, "message": error.strerror})


class _Status(Handler):
    """Says it when its knote fires."""

    def __init__(self, show: Callable[[], None]) -> None:
        self._show = show

    def ready(self, event: kevent) -> None:
        self._show()


def watch(queue: kqueue, tally: Tally, *, progress: bool, as_json: bool) -> Callable[[], None] | None:
    """Add the knotes that make it speak; returns what ends a display."""

    def show() -> None:
        if as_json:
            _say({"event": "status", **as_dict(tally)})
        else:
            say(lines(tally))

    if signal.getsignal(signal.SIGUSR1) == signal.SIG_DFL:
        # It would end us.  Not SIG_IGN, which throws away what is pending.
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
    if held.attach(queue, signal.SIGUSR1, _Status(show)):
        show()
    finish = None
    if progress:
        every, draw, finish = _display(tally, show, as_json=as_json)
        queue.control([kevent(id(tally), EVFILT_TIMER, EV_ADD, 0, every, _Status(draw))], 0)
    return finish


def _display(
    tally: Tally, show: Callable[[], None], *, as_json: bool
) -> tuple[int, Callable[[], None], Callable[[], None] | None]:
    """Milliseconds, what to do each time, and at the end: bars where people look, else a line a second."""
    if as_json:
        return 1000, show, None
    if sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") not in _DUMB:
        try:
            from knote.cli.bars import Bars
        except ImportError:  # rich, which the extra `progress` brings
            pass
        else:
            bars = Bars(tally)
            return 100, bars.draw, bars.close
    return 1000, show, show
