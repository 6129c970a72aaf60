"""Bars of progress for a terminal, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, ProgressColumn, TaskProgressColumn, TextColumn
from rich.table import Column
from rich.text import Text

from knote.apps.legible import plain
from knote.cli.status import size_text, time_text

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType
    from rich.progress import Task, TaskID

    from knote.apps.record import Record, Tally

_BAR: Final = range(10, 41)
"""How wide a bar may be."""


class Bars:
    """One for each file and, where there are more, one for all; as many of them, and as much of each, as the
    terminal has room for.  Drawn when the queue's timer says so: rich would start a thread for it."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._tasks: list[TaskID] = []
        self._total: TaskID | None = None
        self._hidden = 0
        self._console = Console(stderr=True)
        self._progress = _Rows(
            console=self._console, auto_refresh=False, redirect_stdout=False, redirect_stderr=False
        )
        self._progress.start()
        # A program that is stopped or killed could not bring it back.
        self._console.show_cursor(True)

    def draw(self) -> None:
        """As it is now."""
        records = self._tally.records
        for record in records[len(self._tasks) :]:
            self._tasks.append(self._progress.add_task(plain(record.name), total=record.size))
        if self._total is None and len(records) > 1:
            self._total = self._progress.last = self._progress.add_task("total", total=self._tally.size)
        for task, record in zip(self._tasks, records, strict=True):
            total = record.bytes if record.done else record.size
            self._progress.update(task, completed=record.bytes, total=total)
        if self._total is not None:
            self._progress.update(self._total, completed=self._tally.bytes)
        self._fit(records)
        self._progress.refresh()

    def _fit(self, records: Sequence[Record]) -> None:
        # What the terminal has no line for, rich leaves out at the end, where the file is that is being copied.
        width, height = self._console.size
        while len(self._tasks) - self._hidden + 2 > max(height, 4) and records[self._hidden].done:
            self._progress.update(self._tasks[self._hidden], visible=False)
            self._hidden += 1
        names = [plain(record.name) for record in records[self._hidden :]] + ["total"] * (self._total is not None)
        self._progress.columns = tuple(_columns(width, max(map(len, names), default=0)))

    def close(self) -> None:
        """The last state stays on the screen."""
        self.draw()
        self._progress.stop()


def _columns(width: int, name: int) -> list[ProgressColumn]:
    """What fits into so many letters, the longest name having `name` of them; what is left goes to the bar."""
    name = min(name, max(width // 4, 1))
    found: list[ProgressColumn] = [
        TextColumn("{task.description}", markup=False, table_column=_column(name)),
        TaskProgressColumn(table_column=_column()),
    ]
    left = width - name - 5
    wanted: set[type[ProgressColumn]] = set()
    for column, room in ((_Rate, 13), (_Eta, 12), (_Bytes, 16), (_Elapsed, 8)):
        if left < room:
            break
        left -= room
        wanted.add(column)
    if left > _BAR[0]:
        found.insert(1, BarColumn(min(left - 1, _BAR[-1])))
    kinds: tuple[type[ProgressColumn], ...] = (_Bytes, _Rate, _Elapsed, _Eta)
    return found + [kind(table_column=_column()) for kind in kinds if kind in wanted]


def _column(most: int | None = None) -> Column:
    return Column(no_wrap=True, max_width=most, overflow="ellipsis")


class _Rows(Progress):
    """The total comes last, whenever it was known that there is one."""

    last: TaskID | None = None

    def get_renderables(self) -> Iterable[RenderableType]:
        """Progress.get_renderables()"""
        yield self.make_tasks_table(sorted(self.tasks, key=lambda task: task.id == self.last))


class _Bytes(DownloadColumn):
    def __init__(self, table_column: Column | None = None) -> None:
        super().__init__(binary_units=True, table_column=table_column)


class _Rate(ProgressColumn):
    """In the units of everything else."""

    def render(self, task: Task) -> Text:
        """ProgressColumn.render()"""
        speed = task.finished_speed or task.speed
        return Text("?" if speed is None else f"{size_text(speed)}/s", style="progress.data.speed")


class _Eta(ProgressColumn):
    def render(self, task: Task) -> Text:
        """ProgressColumn.render()"""
        left = 0.0 if task.finished else task.time_remaining
        return Text("ETA " + ("-:--:--" if left is None else time_text(left)), style="progress.remaining")


class _Elapsed(ProgressColumn):
    def render(self, task: Task) -> Text:
        """ProgressColumn.render()"""
        seconds = task.finished_time if task.finished else task.elapsed
        return Text(time_text(seconds or 0.0), style="progress.elapsed")
