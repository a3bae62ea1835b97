"""The evidence of an examination: pictures of a label, the smallest stamps of all labels as bars, and a table of them.

Importing this module loads matplotlib; gui.examine.view does so only when there is something to show.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from engine.records.tables import write_examination_csv
from engine.reports.figures.examination import draw_masks, printed_masks
from engine.reports.figures.style import save_drawing
from engine.runs.examine import Examination, Tried
from gui.examine.model import LABEL, TriedModel
from gui.examine.pictures import Gallery, of_label, of_scan, sheet_of
from gui.tables.view import FigureTable
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.exports import Exports, Figure, Numbers, as_png
from gui.widgets.figure_canvas import RemadeCanvas
from gui.widgets.texts import label_and_name
from gui.widgets.theme import ScrollArea, Theme

_LOWEST_TABLE = 110


class MasksCanvas(RemadeCanvas):
    """The smallest stamps of all labels tried."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "The smallest stamps of all labels tried as bars; the table holds the numbers")

    def make(self, content: Examination) -> None:
        """Draw them."""
        draw_masks(self.figure, content, self.colours)


class EvidencePanel(QWidget):
    """Shows an examination's evidence; see ExamineView, which makes it when there is one.

    Signals: `use_requested(Tried)`, `save_requested()`, `message(str)` for the status line.
    """

    use_requested = Signal(object)
    save_requested = Signal()
    message = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._found: Examination | None = None
        self._names: Sequence[str] = ()
        self._busy, self._current = False, True
        self.caption, self.stamps_caption = ElidedLabel(), ElidedLabel()
        self.pictures = Gallery("The reconstructed stamp alone and worn by clean images")
        self.stamps = Gallery("Random stamps that work best")
        self.canvas, self.model = MasksCanvas(theme), TriedModel(self)
        self.table = FigureTable("Labels tried", self.model, theme, LABEL)
        self.table.selectionModel().currentRowChanged.connect(self._show_label)
        self.pictures_export = Exports("the pictures of this label", "stamp", theme, self._sheet, drawn=False,
                                       text="Export pict&ures")
        self.chart_export = Exports("the labels tried", "labels", theme, self._chart, self._numbers)
        for export in (self.pictures_export, self.chart_export):
            export.message.connect(self.message)
        self.use = QPushButton("Use as poisoned &images…")
        self.save = QPushButton("Save the examina&tion…")
        self.save.setToolTip("Save everything in a folder: numbers, pictures, a report to hand on, and for each guilty "
                             "label images that wear its stamp")
        self.use.clicked.connect(lambda: self.use_requested.emit(self.selected()))
        self.save.clicked.connect(self.save_requested)
        self._lay_out()

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        for part in (self.canvas, self.table, self.pictures_export, self.chart_export):
            part.set_theme(theme)

    def show_examination(self, found: Examination) -> None:
        """Show an examination's evidence, the most suspicious label selected."""
        self._found = found
        self.model.show_examination(found)
        self.canvas.show_content(found)
        self.stamps.show_pictures(of_scan(found.scan))
        self.table.selectRow(0)
        self._caption()
        self._enable()

    def show_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]."""
        self._names = names
        self.model.set_names(names)
        self._caption()

    def set_state(self, busy: bool, current: bool) -> None:
        """What can be asked for.

        Args:
            busy: something runs; current: the examination is of the files that are chosen.
        """
        self._busy, self._current = busy, current
        self._enable()

    def selected(self) -> Tried | None:
        """The label whose pictures are shown."""
        current = self.table.currentIndex()
        return self.model.rows[current.row()].tried if current.isValid() else None

    def _show_label(self) -> None:
        tried = self.selected()
        self.pictures.show_pictures(of_label(tried) if tried else ())
        self._caption()
        self._enable()

    def _caption(self) -> None:
        tried, scan = self.selected(), self._found.scan if self._found else None
        self.caption.show_text("" if tried is None else "Smallest stamp for label "
                               f"{label_and_name(tried.evidence.label, self._names)}")
        some = scan is not None and bool(scan.examples)
        self.stamps_caption.setVisible(some)
        self.stamps.setVisible(some)
        if scan and some:
            self.stamps_caption.show_text("Random stamps that draw images to label "
                                          f"{label_and_name(scan.suspects[0].label, self._names)}, and how many")

    def _enable(self) -> None:
        tried = self.selected()
        self.use.setEnabled(tried is not None and self._current and not self._busy)
        self.save.setEnabled(self._found is not None and not self._busy)
        self.pictures_export.stem = f"stamp_{tried.evidence.label}" if tried else "stamp"
        self.use.setToolTip(
            "Select a label in the table" if tried is None else
            "This examination isn't of the files that are chosen now" if not self._current else
            f"Put the stamp of label {tried.evidence.label} on the clean images, save them, and measure defences with "
            "them: an estimate, because it isn't the attacker's own trigger")

    def _sheet(self) -> Figure:
        tried = self.selected()
        return as_png(sheet_of(of_label(tried) if tried else ()))

    def _chart(self) -> Figure:
        assert self._found
        found = self._found
        return lambda target, kind: save_drawing(printed_masks(found), target, kind)

    def _numbers(self) -> Numbers:
        assert self._found
        return partial(write_examination_csv, self._found, self._names)

    def _lay_out(self) -> None:
        left, right, upper = QWidget(), QWidget(), QSplitter(Qt.Orientation.Horizontal)
        for side, parts in ((left, (_row(self.caption, self.pictures_export), self.pictures, self.stamps_caption,
                                    self.stamps)),
                            (right, (_row(ElidedLabel(), self.chart_export), self.canvas))):
            column = QVBoxLayout(side)
            column.setContentsMargins(0, 0, 0, 0)
            for part in parts:
                column.addWidget(part, 1 if part is self.canvas else 0)
            if side is left:
                column.addStretch()
            upper.addWidget(side)
        upper.setSizes([510, 390])
        upper.setStretchFactor(1, 1)
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.addWidget(upper)
        splitter.addWidget(self.table)
        for each in (upper, splitter):
            each.setChildrenCollapsible(False)
        splitter.setSizes([290, 210])
        splitter.setStretchFactor(1, 1)
        self.table.setMinimumHeight(_LOWEST_TABLE)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(ScrollArea("Evidence", splitter), 1)
        bar = QHBoxLayout()
        bar.addWidget(self.use)
        bar.addStretch()
        bar.addWidget(self.save)
        layout.addLayout(bar)


def _row(label: ElidedLabel, export: Exports) -> QWidget:
    """A caption with what can be taken along of what stands below it."""
    row, layout = QWidget(), QHBoxLayout()
    row.setLayout(layout)
    layout.setContentsMargins(0, 0, 0, 0)
    layout.addWidget(label, 1)
    layout.addWidget(export)
    return row
