"""The GoodNets that answer the thresholds: what each costs, what it stops, and whether to use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QItemSelection, QModelIndex, Signal
from PySide6.QtWidgets import (
    QHBoxLayout,
    QLabel,
    QStackedWidget,
    QVBoxLayout,
    QWidget,
)

from engine.literal import unbroken
from engine.pruning.thresholds import DropMode, Stop
from engine.runs.rows import GoodNetRow, price_text
from gui.goodnets.headline_label import HeadlineLabel
from gui.goodnets.model import ATTACK, DETECTION, GUARD, VERDICT, GoodNetsModel, Pair
from gui.goodnets.thresholds_editor import DropsEditor
from gui.tables.view import FigureTable
from gui.widgets.buttons import push_button
from gui.widgets.elided_label import EmptyText, PlainLabel
from gui.widgets.texts import waiting
from gui.widgets.theme import Theme

if TYPE_CHECKING:
    from engine.reports.headline import Headline

EMPTY = ("There are no GoodNets yet.\n\nA GoodNet is the network and its pruned copy as a pair: it answers only where "
         "both agree. Run the pruning, and a GoodNet appears here for each threshold.")
_VERDICT_WIDTH = 104


class GoodNetsView(QWidget):
    """A table of GoodNets, the best of them in words, and what can be done with them.

    Signals:
        drops_edited(tuple, str, str): thresholds, mode ("points" or "relative") and stop rule.
        save_requested(list): the GoodNetRows to save, None for B behind the guard alone.
        row_selected(int): the number of channels pruned of the row the person went to.
        use_requested(object): the GoodNetRow to check images with, None for B behind the guard alone.
    """

    drops_edited = Signal(tuple, str, str)
    save_requested = Signal(list)
    row_selected = Signal(int)
    use_requested = Signal(object)

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._missed = self._busy = False
        self.editor, self.model, self.headline = DropsEditor(theme), GoodNetsModel(self), HeadlineLabel(theme)
        self.table = FigureTable("GoodNets", self.model, theme, VERDICT, several=True, wraps=_VERDICT_WIDTH)
        self.empty = EmptyText(EMPTY)
        self.note, self.guard_note, self.price_note = PlainLabel(), PlainLabel(), PlainLabel()
        self.stack = QStackedWidget()
        self.stack.addWidget(self.empty)
        self.stack.addWidget(self.table)
        self.save_button = push_button("Save selec&ted…", "Save the selected GoodNets to a folder", self._save_selected)
        self.save_all_button = push_button(
            "Save all Goo&dNets…", "Save every GoodNet of the table to a folder, without the figures and the report "
            "that “Save all” beside Run writes too", self._save_all)
        self.use_button = push_button("Use in &image check", "Check images with the selected GoodNet", self._use)
        buttons = QHBoxLayout()
        buttons.addWidget(self.use_button)
        buttons.addStretch()
        buttons.addWidget(self.save_button)
        buttons.addWidget(self.save_all_button)
        layout = QVBoxLayout(self)
        layout.addWidget(self.headline)
        layout.addWidget(self.editor)
        layout.addWidget(self.stack, stretch=1)
        for label in (self.guard_note, self.price_note, self.note):
            layout.addWidget(label)
            label.hide()
        layout.addLayout(buttons)
        for label in (self.note, self.guard_note, self.price_note):
            label.setWordWrap(True)
        self.editor.edited.connect(self.drops_edited)
        self.table.selectionModel().selectionChanged.connect(self._selection_changed)
        self.table.selectionModel().currentRowChanged.connect(self._row_changed)
        self.model.modelReset.connect(self._enable)
        self._enable()

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        for part in (self.table, self.editor, self.headline):
            part.set_theme(theme)

    def show_rows(self, rows: Sequence[GoodNetRow], missed: Sequence[float], badnet: GoodNetRow | None = None) -> None:
        """Show the GoodNets there are, and say which thresholds no pruning step reaches.

        Args:
            badnet: B without a guard and behind it, as engine.runs.rows.badnet_row makes it; it comes first.
        """
        pairs = [*([Pair(badnet, alone=True)] if badnet else []), *map(Pair, rows)]
        self.model.show_pairs(pairs)
        self.table.setColumnHidden(GUARD, badnet is None)
        # Each of several sets has a column of its own in place of these two, all before the verdict.
        for column in (ATTACK, DETECTION):
            self.table.setColumnHidden(column, self.model.several)
        header = self.table.horizontalHeader()
        header.moveSection(header.visualIndex(VERDICT), header.count() - 1)
        self.stack.setCurrentWidget(self.table if pairs else self.empty)
        self._missed = bool(missed)
        self._say_empty()
        names = ", ".join(f"{x:g}" for x in missed)
        self._show_note(self.note, f"No pruning step loses that much accuracy: X = {names}." if missed else "")
        self._show_note(self.price_note, price_text(rows))

    def set_busy(self, busy: bool) -> None:
        """While something runs, nobody is told to run something, and nothing new can be asked for."""
        self._busy = busy
        self._say_empty()
        self._enable()

    def show_headline(self, found: Headline | None, calibration: str = "") -> None:
        """Say what the best of all rows does, and how the guard came to its threshold."""
        self.headline.show_headline(found)
        self._show_note(self.guard_note, unbroken(calibration))

    def show_drops(self, drops: Sequence[float], mode: DropMode, stop: Stop) -> None:
        """Show thresholds, mode and stop rule without reporting an edit."""
        self.editor.show_drops(drops, mode, stop)

    def selected_rows(self) -> list[GoodNetRow | None]:
        """The selected GoodNets in the table's order; None for B behind the guard alone."""
        chosen = sorted(index.row() for index in self.table.selectionModel().selectedRows())
        return [self.model.rows[i].goodnet for i in chosen]

    def all_rows(self) -> list[GoodNetRow | None]:
        """Every row as selected_rows gives it."""
        return [pair.goodnet for pair in self.model.rows]

    def _say_empty(self) -> None:
        self.empty.setText("No GoodNet answers these thresholds. Try smaller ones." if self._missed else
                           waiting(EMPTY, "The GoodNets of a run appear here.") if self._busy else EMPTY)

    def _enable(self) -> None:
        selected = len(self.selected_rows())
        self.save_button.setEnabled(selected > 0 and not self._busy)
        self.use_button.setEnabled(selected == 1 and not self._busy)
        self.save_all_button.setEnabled(bool(self.model.rows) and not self._busy)

    def _selection_changed(self, _selected: QItemSelection, _deselected: QItemSelection) -> None:
        self._enable()

    def _row_changed(self, current: QModelIndex, _previous: QModelIndex) -> None:
        if current.isValid():
            self.row_selected.emit(self.model.rows[current.row()].row.channels_pruned)

    @staticmethod
    def _show_note(label: QLabel, text: str) -> None:
        label.setText(text)
        label.setVisible(bool(text))

    def _save_selected(self) -> None:
        self.save_requested.emit(self.selected_rows())

    def _save_all(self) -> None:
        self.save_requested.emit(self.all_rows())

    def _use(self) -> None:
        self.use_requested.emit(self.selected_rows()[0])
