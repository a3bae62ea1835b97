"""The scan: which labels are suspect, and which patches draw images to the first of them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QIcon
from PySide6.QtWidgets import (
    QAbstractItemView,
    QHBoxLayout,
    QListWidget,
    QListWidgetItem,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from engine.records.defence_table import write_scan_csv
from gui.defences.scan_model import COUNT, ScanModel
from gui.defences.stamps_picture import stamp_text, stamps_picture
from gui.tables.view import FigureTable
from gui.widgets.elided_label import PlainLabel
from gui.widgets.exports import Exports, write_png
from gui.widgets.picture_view import thumbnail
from gui.widgets.primary_button import PrimaryButton
from gui.widgets.texts import label_text, unbroken, waiting
from gui.widgets.theme import Theme

if TYPE_CHECKING:
    from engine.defences.scan import Scan

EXPLANATION = ("Towards which label does this network let itself be pushed? The scan puts thousands of random patches, "
               "stamps, on clean images and counts the labels that the images change to. It needs no poisoned image.")
EMPTY = ("Nothing has been scanned yet.\n\nChoose a model and clean validation images, then press Scan. The labels "
         "that most images change to appear here, with the stamps that work best.\n\nThey are suspects, not verdicts: "
         "some label always comes first, in a network without a backdoor too.")
SCANNING = "The scan goes on. The labels that most images change to appear here when it is done."
_PICTURE_HEIGHT = 116


class ScanView(QWidget):
    """A table of suspects beside the stamps that work best on the first.

    Signals:
        scan_requested(): the person wants a scan of the open network. message(str): for the status line.
    """

    scan_requested = Signal()
    message = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._scan: Scan | None = None
        self._names: Sequence[str] = ()
        self._busy, self._ready, self._asked = False, False, False
        self.button = PrimaryButton("Scan for suspec&ts", "look", theme)
        self.button.clicked.connect(self._ask)
        self.export = Exports("the scan", "scan", theme, self._write_stamps, self._write_numbers, drawn=False)
        self.export.message.connect(self.message)
        self.explanation, self.sentence, self.empty = PlainLabel(EXPLANATION), PlainLabel(), PlainLabel(EMPTY)
        self.empty.setAlignment(Qt.AlignmentFlag.AlignCenter)
        self.empty.setMargin(24)
        self.sentence.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.sentence.setAccessibleName("What the scan found")
        font = self.sentence.font()
        font.setPointSizeF(1.15 * font.pointSizeF())
        self.sentence.setFont(font)
        self.model = ScanModel(self)
        self.table = FigureTable("Suspect labels", self.model, theme, COUNT)
        self.caption, self.stamps = PlainLabel(), _gallery()
        for label in (self.explanation, self.sentence, self.empty, self.caption):
            label.setWordWrap(True)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self._result())
        head = QHBoxLayout()
        head.addWidget(self.explanation, 1)
        head.addWidget(self.button, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.addLayout(head)
        layout.addWidget(self.stack, 1)
        self._enable()

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self.table.set_theme(theme)
        self.button.set_theme(theme)
        self.export.set_theme(theme)

    def show_scan(self, found: Scan | None) -> None:
        """Show what a scan found; None shows what to do to get one."""
        self._scan = found
        self.model.show_scan(found)
        self.stack.setCurrentIndex(0 if found is None else 1)
        self.sentence.setText(unbroken(found.sentence) if found else "")
        self.stamps.clear()
        for example in found.examples if found else ():
            drawn = example.drawn
            item = QListWidgetItem(QIcon(thumbnail(example.picture, _PICTURE_HEIGHT)), stamp_text(example))
            item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            item.setToolTip(f"Put on {drawn.total} other images, this stamp changes {drawn.count} of them to the "
                            "label")
            self.stamps.addItem(item)
        self._caption()

    def show_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]; empty for none."""
        self._names = names
        self.model.set_names(names)
        self._caption()

    def set_ready(self, ready: bool) -> None:
        """Whether a model and clean images are there to scan."""
        self._ready = ready
        self._enable()

    def set_busy(self, busy: bool) -> None:
        """While something runs, nothing new can be asked for."""
        self._busy, self._asked = busy, self._asked and busy
        self.empty.setText(SCANNING if self._asked else waiting(EMPTY, "Then press Scan.") if busy else EMPTY)
        self._enable()

    def _ask(self) -> None:
        self._asked = True
        self.scan_requested.emit()

    def _write_stamps(self, target: Path | BytesIO, _: str) -> None:
        assert self._scan is not None
        write_png(stamps_picture(self._scan.examples), target)

    def _write_numbers(self, path: Path) -> None:
        assert self._scan is not None
        write_scan_csv(self._scan, self._names, path)

    def _enable(self) -> None:
        self.button.setEnabled(self._ready and not self._busy)
        self.button.setToolTip("Takes some seconds; Cancel stops it" if self._ready else
                               "Choose a model and clean validation images first")

    def _caption(self) -> None:
        some = self._scan is not None and bool(self._scan.examples)
        self.caption.setVisible(some)
        self.stamps.setVisible(some)
        if self._scan and some:
            label = label_text(self._scan.suspects[0].label, self._names)
            self.caption.setText(f"Stamps that draw images to label {label} best, and how many other images each of "
                                 "them changes to it:")

    def _result(self) -> QWidget:
        page, right = QWidget(), QVBoxLayout()
        right.addWidget(self.caption)
        right.addWidget(self.stamps, 1)
        row = QHBoxLayout()
        row.addWidget(self.table, 2)
        row.addLayout(right, 3)
        column = QVBoxLayout(page)
        column.setContentsMargins(0, 8, 0, 0)
        column.addWidget(self.sentence)
        column.addLayout(row, 1)
        column.addWidget(self.export, 0, Qt.AlignmentFlag.AlignRight)
        return page


def _gallery() -> QListWidget:
    """Pictures side by side, as many in a line as fit."""
    pictures = QListWidget()
    pictures.setAccessibleName("Stamps that work best")
    pictures.setViewMode(QListWidget.ViewMode.IconMode)
    pictures.setResizeMode(QListWidget.ResizeMode.Adjust)
    pictures.setMovement(QListWidget.Movement.Static)
    pictures.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
    pictures.setIconSize(QSize(_PICTURE_HEIGHT, _PICTURE_HEIGHT))
    pictures.setSpacing(6)
    return pictures
