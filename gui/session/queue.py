"""The queue in front of the worker: one job at a time, each with its own ending."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from PySide6.QtCore import QObject, Signal, Slot

from engine import backend
from gui.session.worker import Task, TaskContext, Worker

Ending = Callable[..., None]


def nothing(*_: object) -> None:
    """The ending of a job for which nothing needs to be done."""


def plain(call: Callable[..., Any], *given: object) -> Task:
    """A call as a task: it takes too short a time to report how far it is, or to be cancelled."""
    return lambda _: call(*given)


def load_engine(_: TaskContext) -> str:
    """Load TensorFlow; the device it computes on."""
    return backend.device()


@dataclass(eq=False)
class Job:
    """A task for the worker, and what is done on the GUI thread with what it gives.

    Attributes:
        foreground: a person waits for it and can cancel it; other jobs run quietly.
        needs_engine: TensorFlow is loaded before it.
        first: it waits for none that waits, as what was worked out and isn't on the disk yet.
        key: a waiting job is dropped for a newer one with the same key; empty for none.
        done, partial, failed, cancelled: called with the result, a part of it, the exception, nothing.
    """

    task: Task
    done: Ending
    foreground: bool = False
    needs_engine: bool = False
    first: bool = False
    key: str = ""
    partial: Ending = nothing
    failed: Ending = nothing
    cancelled: Ending = nothing


class JobQueue(QObject):
    """Feeds the worker. Lives on the GUI thread, and so do all endings of jobs.

    Signals: `changed()` when what runs or waits changed; `progressed(object)` of the foreground job;
    `engine_loaded(str)` with the device TensorFlow computes on.
    """

    changed = Signal()
    progressed = Signal(object)
    engine_loaded = Signal(str)

    def __init__(self, thread: str = "engine") -> None:
        super().__init__()
        self._worker = Worker(thread)
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._engine: Job | None = None
        self._engine_wanted = False
        self._closed = False
        self.cancelling = False
        worker = self._worker
        worker.progressed.connect(self._on_progress)
        worker.partial.connect(self._on_partial)
        worker.succeeded.connect(self._on_success)
        worker.failed.connect(self._on_failure)
        worker.cancelled.connect(self._on_cancelled)
        worker.finished.connect(self._on_finished)

    @property
    def busy(self) -> bool:
        """Whether a person waits for something."""
        return any(job.foreground for job in self._all())

    @property
    def idle(self) -> bool:
        """Whether nothing runs and nothing waits."""
        return not self._all()

    @property
    def loading_engine(self) -> bool:
        """Whether TensorFlow is being loaded."""
        return self._running is not None and self._running is self._engine

    def add(self, job: Job) -> None:
        """Queue a job; after `close` nothing is taken any more."""
        if self._closed:
            return
        if job.key:
            self._waiting = deque(other for other in self._waiting if other.key != job.key)
        if job.needs_engine:
            self._add_engine()
        if job.first:
            self._waiting.appendleft(job)
        else:
            self._waiting.append(job)
        self._start_next()
        self.changed.emit()

    def want_engine(self) -> None:
        """Load TensorFlow, quietly, once the jobs that are added now are done: it will be needed."""
        self._engine_wanted = True

    def cancel(self) -> None:
        """Stop what a person waits for; jobs that run quietly go on."""
        dropped = [job for job in self._waiting if job.foreground]
        self._waiting = deque(job for job in self._waiting if not job.foreground)
        if self._running and self._running.foreground:
            self.cancelling = True
            self._worker.cancel()
        for job in dropped:
            job.cancelled()
        self.changed.emit()

    def close(self) -> None:
        """Drop what waits, cancel what runs, wait for the thread to end."""
        self._closed = True
        self._waiting.clear()
        self._running = None
        self._worker.close()

    def _all(self) -> list[Job]:
        return [*([self._running] if self._running else []), *self._waiting]

    def _add_engine(self) -> None:
        if self._engine is None:
            self._engine = Job(load_engine, self.engine_loaded.emit)
            self._waiting.append(self._engine)

    def _start_next(self) -> None:
        if self._running is None and self._waiting:
            self._running = self._waiting.popleft()
            self._worker.submit(self._running.task)

    @Slot(object)
    def _on_progress(self, report: object) -> None:
        if self._running and self._running.foreground:
            self.progressed.emit(report)

    @Slot(object)
    def _on_partial(self, result: object) -> None:
        if self._running:
            self._running.partial(result)

    @Slot(object)
    def _on_success(self, result: object) -> None:
        if self._running:
            self._running.done(result)

    @Slot(object)
    def _on_failure(self, error: Exception) -> None:
        if self._running:
            self._running.failed(error)

    @Slot()
    def _on_cancelled(self) -> None:
        if self._running:
            self._running.cancelled()

    @Slot()
    def _on_finished(self) -> None:
        self._running, self.cancelling = None, False
        if self._engine_wanted and not self._waiting and not self._closed:
            self._add_engine()
        self._start_next()
        self.changed.emit()
