"""All defences as a figure and a table, with what a person takes along: both as files.

Importing this module loads matplotlib; gui.defences.view does so only when there is a comparison to show.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtGui import QGuiApplication, QImage
from PySide6.QtWidgets import (
    QAbstractItemView,
    QComboBox,
    QHBoxLayout,
    QHeaderView,
    QLabel,
    QPushButton,
    QSplitter,
    QTableView,
    QVBoxLayout,
    QWidget,
)

from engine.defences.comparison import Comparison
from engine.records.defence_table import write_comparison_csv
from engine.reports.defence_figure import draw_comparison, save_comparison_figure
from gui.defences.model import DEFENCE, DefencesModel
from gui.widgets.exports import ask_figure, ask_numbers, export
from gui.widgets.figure_delegate import FigureDelegate
from gui.widgets.figure_palette import palette_of
from gui.widgets.theme import Theme


class ComparisonCanvas(FigureCanvasQTAgg):
    """The comparison's figure; drawn anew, because its layout depends on its size, whenever it is resized."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(Figure())
        self._palette = palette_of(theme)
        self._comparison: Comparison | None = None
        self._guard = "transplant"
        self.setMinimumSize(QSize(280, 160))
        self.setAccessibleName("Clean accuracy against attack success of all defences; the table holds the numbers")

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._palette = palette_of(theme)
        self.draw_idle()

    def show_comparison(self, comparison: Comparison, guard: str) -> None:
        """Show the defences without a guard and behind the given one."""
        self._comparison, self._guard = comparison, guard
        self.draw_idle()

    def draw(self) -> None:
        """Draw everything; called by matplotlib when size, colours or content changed."""
        self.figure.clear()
        if self._comparison:
            axes = self.figure.add_axes((0.1, 0.1, 0.8, 0.8))
            draw_comparison(axes, self._comparison, self._palette, self._guard)
        super().draw()


class ComparisonPanel(QWidget):
    """Shows a comparison; see DefencesView, which makes it when there is one. Signal: `message(str)` for the status
    line."""

    message = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._comparison: Comparison | None = None
        self.canvas, self.model = ComparisonCanvas(theme), DefencesModel(self)
        self.table = self._table()
        self._delegate = FigureDelegate(self.table, theme)
        self.table.setItemDelegate(self._delegate)
        self.guard_box = QComboBox()
        self.guard_box.setAccessibleName("Guard in the figure")
        self.guard_box.setToolTip("Behind which guard the figure shows the defences; the table shows all of them")
        self.guard_box.currentIndexChanged.connect(self._draw)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(self.canvas)
        self.splitter.addWidget(self.table)
        self.splitter.setSizes([320, 180])
        self.splitter.setStretchFactor(0, 1)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addWidget(self.splitter, 1)
        layout.addLayout(self._bar())

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._delegate.set_theme(theme)
        self.canvas.set_theme(theme)
        self.table.viewport().update()

    def show_comparison(self, comparison: Comparison) -> None:
        """Show a comparison; the figure's guard stays where it is there too."""
        self._comparison = comparison
        self.model.show_comparison(comparison)
        self.table.resizeRowsToContents()
        before = self.guard_box.currentData()
        self.guard_box.clear()
        for guard in dict.fromkeys(row.guard for row in comparison.rows if row.guard != "none"):
            self.guard_box.addItem(f"{guard} guard", guard)
        self.guard_box.setCurrentIndex(max(0, self.guard_box.findData(before)))
        self._draw()

    def save_figure_to(self, path: Path) -> None:
        """Save the figure as PNG, SVG or PDF, by the path's ending; says in the status line how it went."""
        kind = path.suffix.lower().lstrip(".")
        self.message.emit(export(path, lambda temporary: self._write_figure(temporary, kind)))

    def save_numbers_to(self, path: Path) -> None:
        """Save the table as CSV; says in the status line how it went."""
        assert self._comparison
        comparison = self._comparison
        self.message.emit(export(path, lambda temporary: write_comparison_csv(comparison, temporary)))

    def copy(self) -> None:
        """Put the figure on the clipboard, in the colours of print."""
        stream = BytesIO()
        self._write_figure(stream, "png")
        QGuiApplication.clipboard().setImage(QImage.fromData(stream.getvalue()))
        self.message.emit("The figure is on the clipboard.")

    def _draw(self) -> None:
        if self._comparison:
            self.canvas.show_comparison(self._comparison, self.guard_box.currentData() or "none")

    def _write_figure(self, target: Any, kind: str) -> None:
        assert self._comparison
        save_comparison_figure(self._comparison, target, kind, self.guard_box.currentData() or "none")

    def _ask_figure(self) -> None:
        path = ask_figure(self, "defences.png")
        if path:
            self.save_figure_to(path)

    def _ask_numbers(self) -> None:
        path = ask_numbers(self, "defences.csv")
        if path:
            self.save_numbers_to(path)

    def _bar(self) -> QHBoxLayout:
        bar, label = QHBoxLayout(), QLabel("Figure behind &the")
        label.setBuddy(self.guard_box)
        bar.addWidget(label)
        bar.addWidget(self.guard_box)
        bar.addStretch()
        for text, tip, slot in (("Cop&y figure", "Put the figure on the clipboard", self.copy),
                                ("Sav&e figure…", "Save the figure as PNG, SVG or PDF", self._ask_figure),
                                ("Save num&bers…", "Save the table as CSV", self._ask_numbers)):
            button = QPushButton(text)
            button.setToolTip(tip)
            button.clicked.connect(slot)
            bar.addWidget(button)
        return bar

    def _table(self) -> QTableView:
        table = QTableView()
        table.setModel(self.model)
        table.setAccessibleName("Defences")
        table.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        table.setSelectionMode(QAbstractItemView.SelectionMode.SingleSelection)
        table.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        table.setTabKeyNavigation(False)
        table.setShowGrid(False)
        table.setAlternatingRowColors(True)
        table.verticalHeader().hide()
        header = table.horizontalHeader()
        header.setHighlightSections(False)
        header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        header.setSectionResizeMode(DEFENCE, QHeaderView.ResizeMode.Stretch)
        return table
