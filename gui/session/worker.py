"""The one place where tasks meet threads."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import QObject, QThread, Signal, Slot

from engine.errors import Cancelled, EngineError
from engine.progress import CancelSource, CancelToken, Progress
from engine.quarantine.client import READER

log = logging.getLogger(__name__)

# Seconds for which a thread may keep Python to itself. The GUI thread asks for it many times for each picture that it
# draws, and waits this long each time while a task computes.
SWITCH_SECONDS = 0.001
# A person reads no faster, and the GUI thread has better things to do.
SECONDS_BETWEEN_REPORTS = 0.1
# By how much less eager than the window the engine is for a core.
_NICER = 5
# How long a thread that ends is waited for before what it reads is ended again.
_PATIENCE_MS = 100


class TaskContext:
    """What a running task may do besides computing: report, show partial results, notice Cancel."""

    def __init__(self, worker: Worker, token: CancelToken) -> None:
        self._worker = worker
        self._what, self._reported = "", 0.0
        self.cancel = token

    def progress(self, report: Progress) -> None:
        """Report how far the task is; of reports on the same work at most ten a second are passed on."""
        now = time.monotonic()
        if report.what != self._what or now - self._reported >= SECONDS_BETWEEN_REPORTS:
            self._what, self._reported = report.what, now
            self._worker.progressed.emit(report)

    def partial(self, result: object) -> None:
        """Show a part of the result, or an early state of it."""
        self._worker.partial.emit(result)


Task = Callable[[TaskContext], Any]
_THREADS: set[int] = set()  # those of all workers, as threading.get_ident numbers them


class _PythonThread(QThread):
    """A thread on which Python's own state for the thread lives as long as the thread.

    Without Python code at its bottom that state is made anew for each slot and destroyed after it, and TensorFlow,
    which keeps pointers into it, crashes in the second task.
    """

    number = 0

    def run(self) -> None:
        """Run the event loop, called from Python."""
        self.number = threading.get_ident()
        _THREADS.add(self.number)
        if sys.platform == "linux":
            # A task keeps every core busy, and the window would wait for its turn to draw. On Linux niceness is a
            # thread's own, and the threads that tasks start inherit it.
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, os.nice(0) + _NICER))
        self.exec()
        _THREADS.discard(self.number)


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

    def __init__(self, name: str) -> None:
        super().__init__()
        sys.setswitchinterval(SWITCH_SECONDS)
        self._source = CancelSource()
        self._thread = _PythonThread()
        self._thread.setObjectName(name)
        self.moveToThread(self._thread)
        self._submitted.connect(self._run)
        self._thread.start()

    def submit(self, task: Task) -> None:
        """Run a task once the one before it has finished. Call from the GUI thread, one task at a time."""
        self._source = CancelSource()
        self._submitted.emit(task, self._source.token)

    def cancel(self) -> None:
        """Ask the running task to stop; sets the token directly, because a queued slot would wait behind it."""
        self._source.cancel()
        # A file that keeps it busy could hold a task up for ten seconds. It may be another worker's file, though.
        READER.interrupt(spare=_THREADS - {self._thread.number})

    def close(self) -> None:
        """Cancel and wait for the thread to end. Nobody waits for what is read any more, whoever asked for it."""
        self._source.cancel()
        self._thread.quit()
        READER.interrupt()
        while not self._thread.wait(_PATIENCE_MS):  # one that waited for another's reading begins its own
            READER.interrupt()

    @Slot(object, object)
    def _run(self, task: Task, token: CancelToken) -> None:
        try:
            token.raise_if_cancelled()
            # One that ends though it was cancelled has done all it does: what it saved or put in use is there.
            result = task(TaskContext(self, token))
        except Cancelled:
            self.cancelled.emit()
        except Exception as error:  # the one broad except: whatever a task meets ends as words in the window
            if token.is_cancelled and isinstance(error, EngineError):  # a reader that was interrupted, for instance
                self.cancelled.emit()
            else:
                log.error("task failed: %s", error, exc_info=None if isinstance(error, EngineError) else error)
                self.failed.emit(error)
        else:
            self.succeeded.emit(result)
        self.finished.emit()
