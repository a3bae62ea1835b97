"""The finished runs there are, and those that a person selected beside each other."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QItemSelection, QItemSelectionModel, Qt, Signal
from PySide6.QtWidgets import QHBoxLayout, QPushButton, QSplitter, QStackedWidget, QVBoxLayout, QWidget

from gui.jobs.comparing import ListedRun
from gui.runs.model import BEST, COLUMNS
from gui.session.belonging import Identity
from gui.tables.model import FigureModel
from gui.tables.view import FigureTable
from gui.widgets import resources
from gui.widgets.elided_label import EmptyText, PlainLabel
from gui.widgets.theme import Theme

if TYPE_CHECKING:
    from engine.records.side_by_side import SideBySide
    from gui.runs.panel import SideBySidePanel

EMPTY = ("There is no finished run yet. Each run is listed here when it ends; runs that were saved can be added. "
         "Models that are dropped on the window together are run one after the other.")
CHOOSE = "Select two runs or more, with Ctrl or Shift held, to see their curves over each other and what differs."
_TABLE_WIDTH = 260


class RunsView(QWidget):
    """Lists runs and shows the comparison of those selected.

    Signals: `chosen(object)` with a list of ListedRun; `add_requested()`; `back_requested(object)` with a folder;
    `save_requested()`; `message(str)` for the status line.
    """

    chosen = Signal(object)
    add_requested = Signal()
    back_requested = Signal(object)
    save_requested = Signal()
    message = Signal(str)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self.panel: SideBySidePanel | None = None
        self.model = FigureModel[ListedRun](COLUMNS, self)
        self.table = FigureTable("Runs", self.model, theme, BEST, several=True, tall=True, wraps=_TABLE_WIDTH)
        self.table.selectionModel().selectionChanged.connect(self._choose)
        self.add, self.back = QPushButton("Add a saved run…"), QPushButton("Bring back")
        self.add.setToolTip("Add a run's folder from disk to this list; drop several on the window to compare them")
        self.back.setToolTip("Show the selected run in all tabs again, without computing anything")
        self.add.clicked.connect(self.add_requested)
        self.back.clicked.connect(lambda: self.back_requested.emit(self.selected()[0].folder))
        self.failures = PlainLabel()
        self.failures.setWordWrap(True)
        self.failures.setAccessibleName("Models that failed")
        self.hint = EmptyText(EMPTY)
        self.stack = QStackedWidget()
        self.stack.addWidget(self.hint)
        self._lay_out()
        self.set_theme(theme)
        self.show_failures(())
        self.show_runs(())

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        self.table.set_theme(theme)
        self.failures.setStyleSheet(f"color: {theme.danger}")
        self.add.setIcon(resources.icon("add", theme))
        if self.panel:
            self.panel.set_theme(theme)

    def show_runs(self, runs: Sequence[ListedRun]) -> None:
        """List runs; those that were selected and are still there stay so."""
        before = {listed.key for listed in self.selected()}
        self.model.show_rows(runs)
        self.table.setVisible(bool(runs))
        self.select(before)
        self._choose()

    def show_failures(self, failures: Sequence[str]) -> None:
        """Name the models of the last row of models that have no run, and why."""
        self.failures.setText("\n".join(failures))
        self.failures.setVisible(bool(failures))

    def select(self, keys: Collection[Identity]) -> None:
        """Select these runs in place of all others."""
        selection, last = QItemSelection(), self.model.columnCount() - 1
        for number, listed in enumerate(self.model.rows):
            if listed.key in keys:
                selection.select(self.model.index(number, 0), self.model.index(number, last))
        self.table.selectionModel().select(selection, QItemSelectionModel.SelectionFlag.ClearAndSelect)

    def selected(self) -> list[ListedRun]:
        """The selected runs from top to bottom."""
        rows = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        return [self.model.rows[row] for row in rows]

    def show_comparison(self, found: SideBySide | None) -> None:
        """Show runs beside each other; None says how to get there."""
        if found is None:
            self.hint.setText(CHOOSE if self.model.rows else EMPTY)
            self.stack.setCurrentWidget(self.hint)
        else:
            panel = self._prepared()
            panel.show_runs(found)
            self.stack.setCurrentWidget(panel)

    def _choose(self) -> None:
        selected = self.selected()
        self.back.setEnabled(len(selected) == 1 and selected[0].folder is not None)
        self.chosen.emit(selected)

    def _prepared(self) -> SideBySidePanel:
        if self.panel is None:
            from gui.runs.panel import SideBySidePanel
            self.panel = SideBySidePanel(self._theme)
            self.panel.message.connect(self.message)
            self.panel.save_requested.connect(self.save_requested)
            self.stack.addWidget(self.panel)
        return self.panel

    def _lay_out(self) -> None:
        top, bar = QWidget(), QHBoxLayout()
        bar.addStretch()
        bar.addWidget(self.add)
        bar.addWidget(self.back)
        column = QVBoxLayout(top)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(bar)
        column.addWidget(self.failures)
        column.addWidget(self.table, 1)
        column.addStretch()  # for the table's place while there is none
        splitter = QSplitter(Qt.Orientation.Vertical)
        splitter.setChildrenCollapsible(False)
        splitter.addWidget(top)
        splitter.addWidget(self.stack)
        splitter.setStretchFactor(1, 1)
        splitter.setSizes([190, 510])
        layout = QVBoxLayout(self)
        layout.addWidget(splitter)
