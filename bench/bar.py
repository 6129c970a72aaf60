"""A progress bar, by rich."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn


class Bar:
    """Drawn by step() and not by a thread, which would run in the middle of a measurement."""

    def __init__(self, steps: int) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
        console = Console(stderr=True)
        self._progress = Progress(*columns, console=console, transient=True, auto_refresh=False)
        self._task = self._progress.add_task("", total=steps)
        self._steps = -1
        self._progress.start()

    def step(self, what: str) -> None:
        """One step is done; `what` comes next."""
        self._steps += 1
        self._progress.update(self._task, completed=self._steps, description=what, refresh=True)

    def end(self) -> None:
        """Take it off the screen."""
        self._progress.stop()
