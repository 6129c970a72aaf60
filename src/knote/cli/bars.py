"""Bars of progress for a terminal, by rich."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

if TYPE_CHECKING:
    from rich.progress import TaskID

    from knote.apps.record import Tally


class Bars:
    """One for each file and, where there are more, one for all.  Drawn when the queue's timer says so: rich would
    start a thread for it."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._tasks: list[TaskID] = []
        self._total: TaskID | None = None
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            DownloadColumn(binary_units=True),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            TextColumn("ETA"),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            auto_refresh=False,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._progress.start()

    def draw(self) -> None:
        """As it is now."""
        records = self._tally.records
        for record in records[len(self._tasks) :]:
            self._tasks.append(self._progress.add_task(record.name, total=record.size))
        if self._total is None and len(records) > 1:
            self._total = self._progress.add_task("total", total=self._tally.size)
        for task, record in zip(self._tasks, records, strict=True):
            total = record.bytes if record.done else record.size
            self._progress.update(task, completed=record.bytes, total=total)
        if self._total is not None:
            self._progress.update(self._total, completed=self._tally.bytes)
        self._progress.refresh()

    def close(self) -> None:
        """The last state stays on the screen."""
        self.draw()
        self._progress.stop()
