"""Finished runs are kept and can be brought back: from the File menu, and with a word after a crash."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

from PySide6.QtCore import QLockFile, QObject, Signal

from engine.files.existing import on_another_machine
from engine.progress import Progress
from engine.records.autosave import KeptRun, keep_run, kept_folder, kept_runs
from engine.records.project import left_alone
from engine.records.reopening import reopen_run
from engine.runs.prune import PruningRun
from gui.jobs.defending import Defending
from gui.jobs.inputs.choosing import Choosing
from gui.jobs.pruning import Pruning
from gui.messages import Action, Message
from gui.session.belonging import Identity, identity
from gui.session.queue import Job, nothing
from gui.session.session import Session
from gui.session.worker import TaskContext

_LOCKS = "*.window"


class Keeping(QObject):
    """Keeps each finished run of a session, lists those kept and reopens them.

    Signals:
        kept_changed(object): tuple of KeptRun, newest first.
        reopened(object, object): the folder of a run that was brought back, and the run.
    """

    kept_changed = Signal(object)
    reopened = Signal(object, object)

    def __init__(self, session: Session, choosing: Choosing, pruning: Pruning, defending: Defending,
                 folder: Path | None) -> None:
        """Runs are kept in `folder`, or where the system keeps a program's data."""
        super().__init__(session)
        self._session, self._choosing, self.folder = session, choosing, folder or kept_folder()
        self._lock: QLockFile | None = None
        self._places: dict[Identity, Path] = {}
        self._waiting = 0  # so many keeps wait or run
        self._then: Callable[[], object] = nothing
        pruning.finished.connect(self.keep)
        defending.compared.connect(self.keep)  # with its comparison, which took minutes

    def start(self) -> None:
        """List the runs that are kept, and offer the newest where a window didn't end properly."""
        self._session.in_background(partial(_look, self.folder), self._started)

    def reopen(self, folder: Path) -> None:
        """Bring a run back from its folder, without computing anything."""
        self._session.submit(partial(_reopen, folder), partial(self._reopened, folder), needs_engine=False)

    def keep(self, run: PruningRun) -> None:
        """Keep a finished run, in place of what was kept of it before more was found out about it."""
        self._waiting += 1
        self._session.add(Job(partial(_keep, run, self.folder, self._places.get(identity(run))),
                              partial(self._take_kept, identity(run)), first=True, failed=self._not_kept))

    def wait(self, then: Callable[[], object]) -> bool:
        """Whether a run is still to be kept; `then` is called once it is, not if that fails."""
        if self._waiting:
            self._then = then
        return bool(self._waiting)

    def close(self) -> None:
        """This window ends properly."""
        if self._lock:
            self._lock.unlock()

    def _take_kept(self, run: Identity, found: tuple[Path, tuple[KeptRun, ...]]) -> None:
        self._places[run], kept = found
        self.kept_changed.emit(kept)
        self._waiting -= 1
        if not self._waiting:
            then, self._then = self._then, nothing
            then()

    def _not_kept(self, error: Exception) -> None:
        self._waiting, self._then = self._waiting - 1, nothing
        self._session.tell(error)

    def _reopened(self, folder: Path, run: PruningRun) -> None:
        """Show a run that was saved before, with its files where they still are."""
        session, remote = self._session, dict.fromkeys(
            path for path in run.request.paths if on_another_machine(path, folder.absolute()))
        if folder.parent == self.folder:
            remote = {}  # this person's own, who chose them
        session.unasked = frozenset(remote)
        self._choosing.open_files_of(run)
        self.show(folder, run)
        session.message.emit(Message(" ".join((
            f"Brought back the run on {run.model.path.name}; nothing was computed again.", *map(left_alone, remote)))))
        self.reopened.emit(folder, run)

    def show(self, folder: Path, run: PruningRun) -> None:
        """Show a run that was read from a folder."""
        if folder.parent == self.folder:
            self._places[identity(run)] = folder
        self._session.finish(run)

    def _started(self, kept: tuple[KeptRun, ...]) -> None:
        self.kept_changed.emit(kept)
        # Qt would wait for a pipe in a lock's place.
        locks = [QLockFile(str(path)) for path in self.folder.glob(_LOCKS) if path.is_file()]
        crashed = [lock for lock in locks if lock.tryLock(0)]
        for lock in crashed:
            lock.unlock()
        own = self.folder / f"{os.getpid()}{_LOCKS[1:]}"
        if own.is_file() or not own.exists():
            self._lock = QLockFile(str(own))
            self._lock.tryLock(0)
        if crashed and kept:
            newest = kept[0]
            self._session.message.emit(Message(
                f"GoodNet didn't end properly last time. The run on {newest.run.model.path.name} of "
                f"{newest.kept_at:%H:%M} is kept.", lasting=True,
                action=Action("Bring back", partial(self.reopen, newest.folder))))


def _look(folder: Path, _: TaskContext) -> tuple[KeptRun, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    return kept_runs(folder)


def _keep(run: PruningRun, folder: Path, instead_of: Path | None, _: TaskContext) -> tuple[Path, tuple[KeptRun, ...]]:
    return keep_run(run, folder, instead_of), kept_runs(folder)


def _reopen(folder: Path, context: TaskContext) -> PruningRun:
    context.progress(Progress("Bringing back the run", 0, 1))
    return reopen_run(folder)
