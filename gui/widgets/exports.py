"""Asking where a figure or a table goes, and writing it there whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from PySide6.QtWidgets import QFileDialog, QWidget

from engine.errors import OutputError
from engine.files.saving import whole_file

FIGURE_FILTERS = {"PNG picture (*.png)": ".png", "SVG drawing (*.svg)": ".svg", "PDF document (*.pdf)": ".pdf"}


def ask_figure(parent: QWidget, name: str) -> Path | None:
    """Ask where to save a figure; an ending that is no picture's gets that of the chosen kind. None: not at all."""
    chosen, kind = QFileDialog.getSaveFileName(parent, "Save the figure", name, ";;".join(FIGURE_FILTERS))
    if not chosen:
        return None
    path = Path(chosen)
    known = path.suffix.lower() in FIGURE_FILTERS.values()
    return path if known else _with_ending(path, FIGURE_FILTERS.get(kind, ".png"))


def ask_numbers(parent: QWidget, name: str) -> Path | None:
    """Ask where to save a CSV table; a name without an ending gets .csv. None: not at all."""
    chosen, _ = QFileDialog.getSaveFileName(parent, "Save the numbers", name, "CSV table (*.csv)")
    if not chosen:
        return None
    path = Path(chosen)
    return path if path.suffix else _with_ending(path, ".csv")


def _with_ending(path: Path, ending: str) -> Path:
    """A name that isn't taken: the dialog asked about replacing the one without the ending."""
    free = path.with_name(path.name + ending)
    number = 1
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}-{number}{ending}")
    return free


def export(path: Path, write: Callable[[Path], None]) -> str:
    """Write a file by way of a temporary sibling; how it went, in a sentence."""
    try:
        with whole_file(path) as temporary:
            write(temporary)
    except OutputError as error:
        return str(error)
    return f"Saved {path}."
