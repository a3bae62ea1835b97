"""All defences as a figure and a table, with what a person takes along: both as files.

Importing this module loads matplotlib; gui.defences.view does so only when there is a comparison to show.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QPushButton, QSplitter, QVBoxLayout, QWidget

from engine.defences.comparison import Comparison, ComparisonRow
from engine.literal import unbroken
from engine.records.tables import write_comparison_csv
from engine.reports.figures.defences import draw_comparison, printed_comparison
from engine.reports.figures.style import save_drawing
from engine.reports.headline import Recommendation
from gui.defences.model import DEFENCE, DefencesModel
from gui.tables.view import FigureTable
from gui.widgets.elided_label import PlainLabel
from gui.widgets.exports import Exports, Figure, Numbers
from gui.widgets.figure_canvas import RemadeCanvas
from gui.widgets.resources import icon
from gui.widgets.texts import as_tip
from gui.widgets.theme import Theme

_GONE = "What this comparison made isn't there any more: compare again to keep a defence"


class ComparisonCanvas(RemadeCanvas):
    """The comparison's figure: the defences without a guard and behind one of the guards."""

    def __init__(self, theme: Theme) -> None:
        super().__init__(theme, "Clean accuracy against attack success of all defences; the table holds the numbers")

    def make(self, content: tuple[Comparison, str]) -> None:
        """Draw them."""
        draw_comparison(self.figure.add_axes((0.1, 0.1, 0.8, 0.8)), content[0], self.colours, content[1])


def best_text(best: Recommendation | None) -> str:
    """What is best and what to do, in words."""
    if best is None:
        return "Nothing can be recommended: these images don't show what a defence does to an attack."
    return unbroken(f"Best of these: {best.row.name}. {best.figures}. {best.sentence}")


class ComparisonPanel(QWidget):
    """Shows a comparison; see DefencesView, which makes it when there is one.

    Signals: `keep_requested(ComparisonRow)`; `message(str)` for the status line.
    """

    keep_requested = Signal(object)
    message = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._comparison: Comparison | None = None
        self._hindrance: Callable[[ComparisonRow], str] | None = None
        self._busy = False
        self.best = PlainLabel()
        self.best.setWordWrap(True)
        self.best.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        self.best.setAccessibleName("The best of the comparison")
        self.keep = QPushButton(icon("save", theme), "Keep this &defence…")
        self.keep.clicked.connect(lambda: self.keep_requested.emit(self._selected()))
        self.canvas, self.model = ComparisonCanvas(theme), DefencesModel(self)
        self.table = FigureTable("Defences", self.model, theme, DEFENCE, tall=True)
        self.export = Exports("the comparison", "defences", theme, self._figure, self._numbers)
        self.export.message.connect(self.message)
        self.guard_box = QComboBox()
        self.guard_box.setAccessibleName("Guard in the figure")
        self.guard_box.setToolTip("Behind which guard the figure shows the defences; the table shows all of them")
        self.guard_box.currentIndexChanged.connect(self._draw)
        self.splitter = QSplitter(Qt.Orientation.Vertical)
        self.splitter.setChildrenCollapsible(False)
        self.splitter.addWidget(self.canvas)
        self.splitter.addWidget(self.table)
        self.splitter.setSizes([210, 262])
        self.splitter.setStretchFactor(0, 1)
        self.splitter.setStretchFactor(1, 1)
        self.table.selectionModel().currentRowChanged.connect(self._enable)
        head = QHBoxLayout()
        head.addWidget(self.best, 1)
        head.addWidget(self.keep, 0, Qt.AlignmentFlag.AlignTop)
        layout = QVBoxLayout(self)
        layout.setContentsMargins(0, 0, 0, 0)
        layout.addLayout(head)
        layout.addWidget(self.splitter, 1)
        layout.addLayout(self._bar())

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self.canvas.set_theme(theme)
        self.export.set_theme(theme)
        self.keep.setIcon(icon("save", theme))
        self.table.set_theme(theme)

    def show_comparison(self, comparison: Comparison, best: Recommendation | None = None,
                        hindrance: Callable[[ComparisonRow], str] | None = None) -> None:
        """Show a comparison, its best row selected; the figure's guard stays where it is there too.

        Args:
            best, hindrance: as DefencesView's.
        """
        self._comparison, self._hindrance = comparison, hindrance
        self.model.show_comparison(comparison)
        self.best.setText(best_text(best))
        if best:
            self.table.selectRow(comparison.rows.index(best.row))
        before = self.guard_box.currentData()
        self.guard_box.clear()
        for guard in dict.fromkeys(row.guard for row in comparison.rows if row.guard != "none"):
            self.guard_box.addItem(f"{guard} guard", guard)
        self.guard_box.setCurrentIndex(max(0, self.guard_box.findData(before)))
        self._draw()
        self._enable()

    def set_busy(self, busy: bool) -> None:
        """While something runs, nothing can be kept."""
        self._busy = busy
        self._enable()

    def _selected(self) -> ComparisonRow | None:
        current = self.table.currentIndex()
        return self.model.rows[current.row()] if current.isValid() else None

    def _enable(self) -> None:
        row = self._selected()
        why_not = "Select a defence in the table" if row is None else _GONE if self._hindrance is None else \
            self._hindrance(row)
        self.keep.setEnabled(not why_not and not self._busy)
        self.keep.setToolTip(as_tip(
            why_not or f"Save {row.name if row else ''} as it was made and measured here; nothing is trained again"))

    def _draw(self) -> None:
        if self._comparison:
            self.canvas.show_content((self._comparison, self.guard_box.currentData() or "none"))

    def _figure(self) -> Figure:
        assert self._comparison
        shown = self._comparison, self.guard_box.currentData() or "none"
        return lambda target, kind: save_drawing(printed_comparison(*shown), target, kind)

    def _numbers(self) -> Numbers:
        assert self._comparison
        return partial(write_comparison_csv, self._comparison)

    def _bar(self) -> QHBoxLayout:
        bar, label = QHBoxLayout(), PlainLabel("Figure behind &the")
        label.setBuddy(self.guard_box)
        bar.addWidget(label)
        bar.addWidget(self.guard_box)
        bar.addStretch()
        bar.addWidget(self.export)
        return bar
