"""What a person takes along of a figure: copied, saved as a picture, or its numbers; whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

from PySide6.QtCore import Signal
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import QMenu, QPushButton

from engine.errors import OutputError
from engine.files.saving import whole_file
from gui.widgets.asking import ask_new_file

FIGURES = {"PNG picture (*.png)": ".png", "SVG drawing (*.svg)": ".svg", "PDF document (*.pdf)": ".pdf"}
NUMBERS = {"CSV table (*.csv)": ".csv"}


class ExportButton(QPushButton):
    """A button with a menu: copy the figure, save it, save its numbers. Signal: `message(str)` for the status line.

    Args:
        what: what is exported, for people who can't see it; stem: how files are called unless a person says otherwise.
        write_figure: writes the figure into a file or a stream as "png", "svg" or "pdf".
        write_numbers: writes a CSV table.
    """

    message = Signal(str)

    def __init__(self, what: str, stem: str, write_figure: Callable[[Path | BytesIO, str], None],
                 write_numbers: Callable[[Path], None]) -> None:
        super().__init__("E&xport")
        self._stem, self._write_figure, self._write_numbers = stem, write_figure, write_numbers
        self.setAccessibleName(f"Export {what}")
        self.setToolTip("Copy or save the figure, or save its numbers")
        menu = QMenu(self)
        menu.addAction("&Copy figure", self.copy)
        menu.addAction("Save &figure (PNG, SVG, PDF)…", self._ask_figure)
        menu.addAction("Save &numbers (CSV)…", self._ask_numbers)
        self.setMenu(menu)

    def copy(self) -> None:
        """Put the figure on the clipboard, in the colours of print."""
        stream = BytesIO()
        self._write_figure(stream, "png")
        QGuiApplication.clipboard().setImage(QImage.fromData(stream.getvalue()))
        self.message.emit("The figure is on the clipboard.")

    def save_figure_to(self, path: Path) -> None:
        """Save the figure as PNG, SVG or PDF, by the path's ending; says how it went."""
        kind = path.suffix.lower().lstrip(".")
        self.message.emit(export(path, lambda temporary: self._write_figure(temporary, kind)))

    def save_numbers_to(self, path: Path) -> None:
        """Save the numbers as CSV; says how it went."""
        self.message.emit(export(path, self._write_numbers))

    def _ask_figure(self) -> None:
        path = ask_new_file(self, "Save the figure", f"{self._stem}.png", FIGURES)
        if path:
            self.save_figure_to(path)

    def _ask_numbers(self) -> None:
        path = ask_new_file(self, "Save the numbers", f"{self._stem}.csv", NUMBERS)
        if path:
            self.save_numbers_to(path)


def export(path: Path, write: Callable[[Path], None]) -> str:
    """Write a file by way of a temporary sibling; how it went, in a sentence."""
    try:
        with whole_file(path) as temporary:
            write(temporary)
    except OutputError as error:
        return str(error)
    return f"Saved {path}."
