"""Several models against the same data, one after the other, each with a run of its own."""

from __future__ import annotations

import dataclasses
from collections import deque
from contextlib import suppress
from functools import partial

from PySide6.QtCore import QObject, Signal

from engine.errors import SeveralOutputs
from engine.models.architecture import describe_model
from engine.progress import Progress
from engine.runs.prune import PruningRequest, PruningRun, run_pruning
from gui.jobs.comparing import Comparing
from gui.jobs.keeping import Keeping
from gui.messages import Message, words
from gui.session.belonging import identity
from gui.session.session import Session, State
from gui.session.worker import TaskContext


class Several(QObject):
    """Runs what is chosen on the chosen model and on those that wait behind it.

    The run on show stays; each finished run is kept and listed. A model that fails doesn't stop the others, and Cancel
    keeps those that are done.
    """

    started = Signal()
    failures_changed = Signal(object)  # list[str], a sentence for each model that failed

    def __init__(self, session: Session, keeping: Keeping, comparing: Comparing) -> None:
        super().__init__(session)
        self._session, self._keeping, self._comparing = session, keeping, comparing
        self._waiting: deque[PruningRequest] = deque()
        self._total = 0
        self._runs: list[PruningRun] = []
        self._failures: list[str] = []
        session.needs(lambda: (path for request in self._waiting for path in request.paths))

    def start(self) -> None:
        """Run all of them."""
        session, inputs = self._session, self._session.inputs
        if session.can_run:
            first = inputs.request(session.options, session.names)
            classes = first.classes if inputs.named else ()  # else they only say what the first one's labels are called
            self._waiting.extend([first, *(dataclasses.replace(first, model=path, layer=None, classes=classes)
                                           for path in inputs.further)])
            self._total, self._runs, self._failures = len(self._waiting), [], []
            self.failures_changed.emit([])
            self.started.emit()
            self._go_on()

    def _go_on(self) -> None:
        """Run the next model. It is queued only now, so that the run before it is kept first."""
        if not self._waiting:
            self._end("")
            return
        if self._session.state is State.CANCELLING:  # the one before ended all the same
            self._cancel()
            return
        request = self._waiting.popleft()
        heading = f"Model {self._total - len(self._waiting)} of {self._total}, {request.model.name}: "
        self._session.submit(partial(prune, request, heading), self._take, failed=partial(self._fail, request),
                             cancelled=self._cancel)

    def _take(self, run: PruningRun) -> None:
        self._runs.append(run)
        self._keeping.keep(run)
        self._comparing.take(run)
        self._go_on()

    def _fail(self, request: PruningRequest, error: Exception) -> None:
        self._failures.append(f"{request.model.name} failed. {words(error)}")
        self._go_on()

    def _cancel(self) -> None:
        self._waiting.clear()
        self._end("Cancelled. ")

    def _end(self, how: str) -> None:
        failed = f", {len(self._failures)} failed." if self._failures else "."
        self._session.message.emit(Message(f"{how}{len(self._runs)} of {self._total} models are done{failed}"))
        self.failures_changed.emit(list(self._failures))
        self._comparing.show({identity(run) for run in self._runs})


# On the worker's thread


def prune(request: PruningRequest, heading: str, context: TaskContext) -> PruningRun:
    """Run the pruning defence, its progress headed with which of the models it is.

    The output that was chosen for the first model is taken of those that have several.
    """
    def progress(report: Progress) -> None:
        context.progress(dataclasses.replace(report, what=f"{heading}{report.what}"))

    if request.output:
        with suppress(SeveralOutputs):
            describe_model(request.model)
            request = dataclasses.replace(request, output=None)
    return run_pruning(request, progress=progress, cancel=context.cancel)
