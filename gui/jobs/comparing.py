"""Finished runs side by side: those that are kept, those opened from disk, and the one on show."""

from __future__ import annotations

import dataclasses
import datetime
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject, Signal

from engine.errors import EngineError, named
from engine.files.saving import check_writable
from engine.records.autosave import KeptRun
from engine.records.reopening import reopen_run
from engine.records.side_by_side import SideBySide, save_side_by_side, side_by_side
from engine.reports.headline import Headline
from engine.reports.run_differences import best_of
from engine.runs.prune import PruningRun
from gui.jobs.defending import Defending
from gui.jobs.inputs.opening import Opening
from gui.jobs.keeping import Keeping
from gui.messages import Message, words_of_all
from gui.session.belonging import Identity, identity
from gui.session.recognition import Found
from gui.session.session import Session
from gui.session.worker import TaskContext


@dataclass(frozen=True, eq=False)
class ListedRun:
    """A finished run to choose from.

    Attributes:
        name: the model's file and what tells runs of one model apart; note: when it was run, and its guard.
        folder: where it is saved or kept; None while it is only on show.
        best: its best defence.
    """

    name: str
    note: str
    run: PruningRun
    folder: Path | None
    best: Headline | None

    @property
    def key(self) -> Identity:
        """By which it is known again, wherever it was read from."""
        return identity(self.run)


class Comparing(QObject):
    """Lists runs and sets those that a person chose beside each other."""

    runs_changed = Signal(object)  # tuple[ListedRun, ...]
    compared = Signal(object)  # SideBySide, or None where fewer than two are chosen
    asked_for = Signal(object)  # set of Identity of the runs that a person wants to see side by side

    def __init__(self, session: Session, opening: Opening, defending: Defending, keeping: Keeping) -> None:
        super().__init__(session)
        self._session, self._keeping = session, keeping
        self._fresh: tuple[ListedRun, ...] = ()
        self._opened: tuple[ListedRun, ...] = ()
        self._kept: tuple[ListedRun, ...] = ()
        self._found: SideBySide | None = None
        opening.takes("run", self._take)
        session.needs(lambda: (path for listed in (*self._fresh, *self._opened, *self._kept)
                               for path in listed.run.request.paths))
        keeping.kept_changed.connect(self._take_kept)
        defending.comparison_changed.connect(self._tell)  # which another run changes, too

    def open_folders(self, folders: Sequence[Path]) -> None:
        """List saved runs, and compare them where there are several."""
        self._session.in_background(partial(read_folders, list(folders)), self._take_opened, tell=True)

    def take(self, run: PruningRun) -> None:
        """List a run that ended just now without being shown; it stays listed though it may no longer be kept."""
        now = datetime.datetime.now()
        self._fresh = (_listed(run, best_of(run), None, f"{now:%H:%M:%S}", f"{now:%Y-%m-%d}"), *self._fresh)
        self._tell()

    def show(self, keys: Collection[Identity]) -> None:
        """Bring listed runs up side by side."""
        self.asked_for.emit(keys)

    def compare(self, chosen: Sequence[ListedRun]) -> None:
        """Set runs beside each other; two are needed."""
        several = len(chosen) > 1
        self._found = side_by_side([(c.name, c.folder, c.run) for c in chosen]) if several else None
        self.compared.emit(self._found)

    def save(self, folder: Path) -> None:
        """Save the comparison: its numbers, its figure and its report."""
        if self._found:
            spared = self._session.spared_in(folder)
            self._session.submit(partial(save, self._found, folder, spared), self._saved, needs_engine=False)

    def _take(self, found: Sequence[Found]) -> None:
        """One run is brought back whole; several that are opened together are compared."""
        if len(found) == 1:
            self._keeping.reopen(found[0].path)
        else:
            self.open_folders([item.path for item in found])

    def _take_opened(self, found: tuple[tuple[ListedRun, ...], tuple[EngineError, ...]]) -> None:
        opened, failed = found
        new = {listed.folder for listed in opened}
        self._opened = (*opened, *(listed for listed in self._opened if listed.folder not in new))
        self._tell()
        self.show({listed.key for listed in opened})
        said = f"Listed: {named([listed.folder.name for listed in opened if listed.folder])}."
        if len({listed.key for listed in opened}) < len(opened):
            said += " Folders that hold the same run are one line."
        self._session.message.emit(Message(f"{said} {words_of_all(failed)}", "error") if failed else Message(said))

    def _take_kept(self, kept: Sequence[KeptRun]) -> None:
        self._kept = tuple(_listed(one.run, one.best, one.folder, f"{one.kept_at:%H:%M:%S}", f"{one.kept_at:%Y-%m-%d}")
                           for one in kept)
        self._tell()

    def _tell(self) -> None:
        """List every run once: of one that is in memory and on disk, what is on disk."""
        listed = {entry.key: entry for entry in reversed((*self._opened, *self._kept))}
        entries = [entry for entry in self._fresh if entry.key not in listed] + list(reversed(listed.values()))
        run = self._session.run
        if run and identity(run) not in {entry.key for entry in entries}:
            entries.insert(0, _listed(run, best_of(run), None, "on show"))
        elif run and run.comparison:  # it was made after the run was kept
            entries = [dataclasses.replace(entry, run=run, best=best_of(run)) if entry.key == identity(run) else entry
                       for entry in entries]
        self.runs_changed.emit(tuple(entries))

    def _saved(self, folder: Path) -> None:
        self._session.message.emit(Message(f"Saved the comparison in {folder}.", folder=folder))


def _listed(
    run: PruningRun, best: Headline | None, folder: Path | None, where: str, when: str = "",
) -> ListedRun:
    request = run.request
    guard = "no guard" if request.guard == "none" else f"{request.guard} guard"
    note = f"{when} · {guard}" if when else guard
    return ListedRun(f"{run.model.path.name}, {where}", note, run, folder, best)


# On the worker's thread


def read_folders(
    folders: Sequence[Path], context: TaskContext,
) -> tuple[tuple[ListedRun, ...], tuple[EngineError, ...]]:
    """Read saved runs; and what is wrong with those that can't be read.

    Raises:
        EngineError: none is a run.
    """
    found, failed = list[ListedRun](), list[EngineError]()
    for folder in folders:
        context.cancel.raise_if_cancelled()
        try:
            run = reopen_run(folder)
            found.append(_listed(run, best_of(run), folder, folder.name))
        except EngineError as error:
            failed.append(error)
    if not found:
        raise EngineError(words_of_all(failed))
    return tuple(found), tuple(failed)


def save(found: SideBySide, folder: Path, spared: Sequence[Path], _: TaskContext) -> Path:
    """Write a comparison's folder."""
    check_writable(folder, [*filter(None, found.folders), *spared])
    save_side_by_side(found, folder, spared)
    return folder
