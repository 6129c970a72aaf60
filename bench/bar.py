"""A progress bar, by rich."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from bench import runner


class Bar(runner.Progress):
    """One bar per case."""

    def __init__(self) -> None:
        # Drawn at each tick: a thread that does it would run in the middle of a measurement.
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
            auto_refresh=False,
        )
        self._case = ""

    def begin(self, case: str, rounds: int) -> None:
        """As Progress.begin."""
        self._case = case
        self.end()
        self._progress.add_task(case, total=rounds)
        self._progress.start()

    def row(self, name: str) -> None:
        """As Progress.row."""
        self._progress.update(self._progress.task_ids[0], description=f"{self._case}: {name}")

    def tick(self) -> None:
        """As Progress.tick."""
        self._progress.advance(self._progress.task_ids[0])
        self._progress.refresh()

    def end(self) -> None:
        """As Progress.end."""
        self._progress.stop()
        for task in self._progress.task_ids:
            self._progress.remove_task(task)
