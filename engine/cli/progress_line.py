"""Progress of a long task on standard error, with the time left."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from engine.literal import literal
from engine.progress import Progress

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID


class ProgressLine:
    """A line that is there while the block runs; nothing where standard error isn't a terminal.

    Args:
        heading: what stands before each stage.
    """

    def __init__(self, heading: str = "") -> None:
        self._heading = heading
        self._bar: Bar | None = None
        self._task: TaskID | None = None
        self._what = ""

    def __enter__(self) -> ProgressLine:
        if sys.stderr.isatty():
            self._bar = _bar()
            self._bar.start()
        return self

    def __call__(self, progress: Progress) -> None:
        """Show a report; each stage takes the place of the one before."""
        if self._bar is None:
            return
        if self._task is None or progress.what != self._what:
            if self._task is not None:
                self._bar.remove_task(self._task)
            self._task = self._bar.add_task(literal(self._heading + progress.what), total=progress.total)
            self._what = progress.what
        self._bar.update(self._task, completed=progress.done, total=progress.total)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        if self._bar:
            self._bar.stop()


def _bar() -> Bar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    # Results go to standard output as they are; the line is cleared before they come.
    return Bar(TextColumn("{task.description}", markup=False), BarColumn(bar_width=None), MofNCompleteColumn(),
               TimeRemainingColumn(), console=Console(stderr=True), transient=True, expand=True,
               redirect_stdout=False, redirect_stderr=False)
