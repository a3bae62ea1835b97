"""Saving what the run on show gave: asks where, then has it saved, whatever is on show by then."""

from __future__ import annotations

from collections.abc import Sequence

from engine.defences.comparison import ComparisonRow
from engine.records.autosave import SAVED_ENDING
from engine.runs.rows import GoodNetRow
from gui.frame.desk import Desk
from gui.jobs.saving import folder_name
from gui.widgets import asking


def save_rows(desk: Desk, rows: Sequence[GoodNetRow | None]) -> None:
    """Save the pairs of rows: one in a folder that a person names, several in a folder each inside one they choose."""
    run = desk.session.run
    if run is None or not rows:
        return
    name, stem = run.model.path.name, run.model.path.stem
    if len(rows) == 1:
        folder = asking.ask_new_folder(desk.window, f"Save a GoodNet of {name} in a new folder",
                                       f"{stem}-{folder_name(rows[0])}")
        places = [folder] if folder else []
    else:
        folder = asking.ask_folder(desk.window, f"Save GoodNets of {name} in")
        places = [folder / folder_name(row) for row in rows] if folder else []
        places = places if asking.ask_overwrite(desk.window, places) else []
    if places:
        desk.saving.save_rows(run, rows, places)


def keep_compared(desk: Desk, row: ComparisonRow) -> None:
    """Save a defence that the comparison made, in a folder that a person names."""
    run, made = desk.session.run, desk.defending.made
    folder = asking.ask_new_folder(desk.window, f"Keep {row.name} in a new folder",
                                   f"{run.model.path.stem}-kept") if run else None
    if run and made and folder:
        desk.defending.keep(run, made, row, folder)


def save_run(desk: Desk) -> None:
    """Save the whole run in a folder that a person names."""
    run, examined = desk.session.run_to_save, desk.examining.examined
    folder = asking.ask_new_folder(desk.window, f"Save the run on {run.model.path.name} in a new folder",
                                   f"{run.model.path.stem}{SAVED_ENDING}") if run else None
    if folder:
        desk.saving.save_run(folder, examined, run)
