"""Runs beside each other: their curves over each other, and a table of what differs.

Importing this module loads matplotlib; gui.runs.view does so only when there is something to compare.
"""

from __future__ import annotations

from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtGui import QResizeEvent
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from engine.records.side_by_side import SideBySide, write_differences_csv
from engine.reports.figures.runs import draw_runs, printed_runs
from engine.reports.figures.style import save_drawing
from gui.runs.model import differences_model
from gui.tables.view import FigureTable
from gui.widgets.elided_label import PlainLabel
from gui.widgets.exports import Exports, Figure, Numbers
from gui.widgets.figure_canvas import RemadeCanvas
from gui.widgets.theme import ScrollArea, Theme

_WHAT_WIDTH = 220
# Lower than that, the axes' labels would lie over the legend.
_LOWEST = 220
_MOST_LINES = 4


class RunsCanvas(RemadeCanvas):
    """The runs' curves over each other."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Clean accuracy and attack success of the chosen runs; the table holds the differences")
        self.setMinimumHeight(_LOWEST)

    def make(self, content: SideBySide) -> None:
        """Draw them."""
        draw_runs(self.figure, content.names, content.runs, self.colours)


class SideBySidePanel(QWidget):
    """Shows a comparison of runs. Signals: `message(str)` for the status line, `save_requested()`."""

    message = Signal(str)
    save_requested = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._found: SideBySide | None = None
        self.canvas = RunsCanvas(theme)
        self.table: FigureTable | None = None
        self.cautions = PlainLabel()
        self.same = PlainLabel("These runs are the same in their files, options, order, curves and best defence.")
        self.cautions.setAccessibleName("Caution")
        for label in (self.cautions, self.same):
            label.setWordWrap(True)
        self.export = Exports("the comparison of runs", "runs", theme, self._figure, self._numbers)
        self.export.message.connect(self.message)
        self.save = QPushButton("Save comparison…")
        self.save.setToolTip("Save everything in a folder: figure, differences and a report to hand on")
        self.save.clicked.connect(self.save_requested)
        self._splitter = QSplitter(Qt.Orientation.Vertical)
        self._splitter.setChildrenCollapsible(False)
        self._splitter.addWidget(self.canvas)
        bar = QHBoxLayout()
        bar.addStretch(1)
        bar.addWidget(self.export)
        bar.addWidget(self.save)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        self._cautions = _FewLines(self.cautions)
        layout.addWidget(self._cautions)
        layout.addLayout(bar)
        layout.addWidget(self._splitter, 1)
        layout.addWidget(self.same)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        self.canvas.set_theme(theme)
        self.export.set_theme(theme)
        self.cautions.setStyleSheet(f"color: {theme.warning}")
        if self.table:
            self.table.set_theme(theme)

    def show_runs(self, found: SideBySide) -> None:
        """Show a comparison; its table has a column a run, so it is made anew."""
        self._found = found
        self.canvas.show_content(found)
        self.cautions.setText("\n".join(found.cautions))
        self._cautions.setVisible(bool(found.cautions))
        self._cautions.fit()
        self.same.setVisible(not found.differences)
        table = FigureTable("What differs", differences_model(found), self._theme, 0, wraps=_WHAT_WIDTH)
        table.model().setParent(table)
        if self.table:
            self._splitter.replaceWidget(1, table)
            self.table.deleteLater()
        else:
            self._splitter.addWidget(table)
            self._splitter.setSizes([250, 260])
        self.table = table
        table.setVisible(bool(found.differences))

    def _figure(self) -> Figure:
        assert self._found
        found = self._found
        return lambda target, kind: save_drawing(printed_runs(found.names, found.runs), target, kind)

    def _numbers(self) -> Numbers:
        assert self._found
        return partial(write_differences_csv, self._found)


class _FewLines(ScrollArea):
    """A label that is as high as its text, but for a few lines; what is longer scrolls."""

    def __init__(self, label: PlainLabel) -> None:
        super().__init__("Cautions", label)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        label.setAlignment(Qt.AlignmentFlag.AlignTop)
        self._label = label

    def fit(self) -> None:
        """Take the height that the text needs."""
        most = _MOST_LINES * self._label.fontMetrics().lineSpacing()
        margins = self.viewportMargins()
        width, height = self.width() - margins.left() - margins.right(), margins.top() + margins.bottom()
        self.setFixedHeight(min(max(0, self._label.heightForWidth(width)), most) + height)

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Fit the height to the width."""
        super().resizeEvent(event)
        self.fit()
