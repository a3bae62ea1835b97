"""Saving what the run on show gave: asks where, then has it saved."""

from __future__ import annotations

from collections.abc import Sequence

from engine.runs.rows import GoodNetRow
from gui.frame import asking
from gui.frame.desk import Desk
from gui.jobs.saving import folder_name


def save_rows(desk: Desk, rows: Sequence[GoodNetRow | None]) -> None:
    """Save the pairs of rows, each in a folder of its own inside one that a person names."""
    run = desk.session.run
    if run is None or not rows:
        return
    folder = asking.ask_folder(desk.window, f"Save GoodNets of {run.model.path.name} in", desk.settings.folder)
    if folder and asking.ask_overwrite(desk.window, [folder / folder_name(row) for row in rows]):
        desk.saving.save_rows(rows, folder)


def save_run(desk: Desk) -> None:
    """Save the whole run in a folder that a person names."""
    run = desk.session.run
    if run is None:
        return
    name = run.model.path.name
    folder = asking.ask_folder(desk.window, f"Save the run on {name} in a new folder inside", desk.settings.folder)
    if folder:
        target = folder / f"{run.model.path.stem}-goodnets"
        if asking.ask_overwrite(desk.window, [target]):
            desk.saving.save_run(target)
