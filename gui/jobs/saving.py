"""Saving what the run on show gave: single pairs, or the whole run's folder."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from PySide6.QtCore import QObject

from engine.files.saving import check_writable
from engine.goodnets.saved import save_pair
from engine.progress import Progress
from engine.records.run_files import GUARDED_BADNET, pair_name
from engine.records.run_files import save_run as write_run
from engine.runs.pairs import pictures_of
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow, rows_of
from gui.jobs.examining import Examined, put_inside
from gui.messages import Message
from gui.session.session import Session
from gui.session.workbench import Workbench
from gui.session.worker import TaskContext


class Saving(QObject):
    """Writes GoodNets and runs where a person said."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self._session = session

    def save_rows(self, run: PruningRun, rows: Sequence[GoodNetRow | None], places: Sequence[Path]) -> None:
        """Save the pairs of a run's rows, each in its folder; None stands for B behind the guard alone.

        Args:
            run: the rows', which may be on show no longer: a person took their time to say where.
            places: a folder for each row, all inside the same one.
        """
        session, folder = self._session, places[0].parent

        def saved(left_out: Sequence[str]) -> None:
            names = " and ".join(path.name for path in places)
            session.message.emit(Message(" ".join((f"Saved {names} in {folder}.", *left_out)), folder=folder))

        spared = session.spared_in(folder)
        session.submit(partial(save_pairs, session.bench, run, list(rows), list(places), spared), saved,
                       cancelled=lambda: session.message.emit(Message(
                           f"Cancelled; GoodNets that were saved before stay in {folder}.", folder=folder)))

    def save_run(self, folder: Path, examined: Examined | None = None, run: PruningRun | None = None) -> None:
        """Save a run's whole folder: numbers, figures and all pairs.

        Args:
            examined: an examination that is saved in it if it is of the same network.
            run: one that may be on show no longer: a person took their time to say where; None for the one on show.
        """
        session, run = self._session, run or self._session.run_to_save

        def saved(left_out: Sequence[str]) -> None:
            session.message.emit(Message(" ".join((what, *left_out)), folder=folder))

        if run:
            what = f"Saved the run with {len(rows_of(run))} GoodNets in {folder}."
            same = examined and examined.sha256 == run.model.sha256
            session.submit(partial(save_run, run, examined if same else None, folder, session.spared_in(folder)),
                           saved)


def folder_name(row: GoodNetRow | None) -> str:
    """What a pair's folder is called; None stands for B behind the guard alone."""
    return pair_name(row.x) if row else GUARDED_BADNET


# On the worker's thread


def save_pairs(
    bench: Workbench, run: PruningRun, rows: Sequence[GoodNetRow | None], places: Sequence[Path],
    spared: Sequence[Path], context: TaskContext,
) -> tuple[str, ...]:
    """Save the pairs of rows, each in its folder; what was left out."""
    pictures = pictures_of(run)
    left_out: list[str] = []
    for place in places:
        check_writable(place, (*run.request.paths, *spared))
    for number, (row, place) in enumerate(zip(rows, places, strict=True)):
        context.cancel.raise_if_cancelled()
        context.progress(Progress("Saving GoodNet pairs", number, len(rows)))
        left_out += save_pair(bench.built(run, row), place, pictures, places[0] if number else None, spared)
    return tuple(dict.fromkeys(left_out))


def save_run(run: PruningRun, examined: Examined | None, folder: Path, spared: Sequence[Path],
             context: TaskContext) -> tuple[str, ...]:
    """Save a whole run's folder, with an examination of its network inside; what was left out."""
    check_writable(folder, (*run.request.paths, *spared))
    if examined is None:
        return write_run(run, folder, spared=spared, progress=context.progress, cancel=context.cancel)
    files = run.request.clean_alone(run.request.test)
    return write_run(run, folder, also=partial(put_inside, examined, files, context=context), spared=spared,
                     progress=context.progress, cancel=context.cancel)
