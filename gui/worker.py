"""The one place where tasks meet threads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal, Slot

from engine.errors import Cancelled
from engine.progress import CancelSource, CancelToken, Progress

log = logging.getLogger(__name__)


class TaskContext:
    """What a running task may do besides computing: report, show partial results, notice Cancel."""

    def __init__(self, worker: Worker, token: CancelToken) -> None:
        self._worker = worker
        self.cancel = token

    def progress(self, report: Progress) -> None:
        """Report how far the task is."""
        self._worker.progressed.emit(report)

    def partial(self, result: object) -> None:
        """Show a result that later ones will replace."""
        self._worker.partial.emit(result)


Task = Callable[[TaskContext], Any]


class Worker(QObject):
    """Runs one task after the other on its own thread; each ends in exactly one outcome, then `finished`.

    Results are frozen dataclasses of plain values and arrays: no model and no widget crosses the thread.
    """

    progressed = Signal(object)
    partial = Signal(object)
    succeeded = Signal(object)
    failed = Signal(object)
    cancelled = Signal()
    finished = Signal()
    _submitted = Signal(object, object)

    def __init__(self) -> None:
        super().__init__()
        self._source = CancelSource()
        self._thread = QThread()
        self._thread.setObjectName("engine")
        self.moveToThread(self._thread)
        self._submitted.connect(self._run)
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Run a task when those before it are done. Call from the GUI thread."""
        self._source = CancelSource()
        self._submitted.emit(task, self._source.token)

    def cancel(self) -> None:
        """Ask the running task to stop; sets the token directly, because a queued slot would wait behind it."""
        self._source.cancel()

    def close(self) -> None:
        """Cancel and wait for the thread to end."""
        self.cancel()
        self._thread.quit()
        self._thread.wait()

    @Slot(object, object)
    def _run(self, task: Task, token: CancelToken) -> None:
        try:
            token.raise_if_cancelled()
            result = task(TaskContext(self, token))
            token.raise_if_cancelled()
        except Cancelled:
            self.cancelled.emit()
        except Exception as error:  # the one broad except: whatever a task meets ends as words in the window
            log.exception("task failed")
            self.failed.emit(error)
        else:
            self.succeeded.emit(result)
        self.finished.emit()
