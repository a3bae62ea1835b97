"""The table widget that all views share."""

from __future__ import annotations

from typing import Any

from PySide6.QtCore import QAbstractItemModel
from PySide6.QtGui import QResizeEvent, QShowEvent
from PySide6.QtWidgets import QAbstractItemView, QHeaderView, QTableView

from gui.tables.delegate import BAR_ROOM, FigureDelegate
from gui.tables.model import FigureModel
from gui.widgets.theme import Theme

# From which a column's width is found: a scan of a network of a thousand labels has as many rows, and measuring all of
# them keeps the window from anything else for a tenth of a second. Figures below are hardly wider.
_MEASURED_ROWS = 60


class Table(QTableView):
    """Whole rows, one of them selected or several; Tab leaves it.

    Args:
        name: what it holds, for assistive technology.
        wide: the column that takes the width which is left.
    """

    def __init__(self, name: str, model: QAbstractItemModel, wide: int, *, several: bool = False) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setModel(model)
        self.setSelectionBehavior(QAbstractItemView.SelectionBehavior.SelectRows)
        self.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection if several else
                              QAbstractItemView.SelectionMode.SingleSelection)
        self.setHorizontalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setVerticalScrollMode(QAbstractItemView.ScrollMode.ScrollPerPixel)
        self.setTabKeyNavigation(False)
        self.setShowGrid(False)
        self.setAlternatingRowColors(True)
        self.setWordWrap(False)
        self.verticalHeader().hide()
        self.horizontalHeader().setHighlightSections(False)
        self.horizontalHeader().setSectionResizeMode(wide, QHeaderView.ResizeMode.Stretch)


class FigureTable(Table):
    """A Table of a FigureModel; columns are as wide as their figures.

    Args:
        tall: whether cells have more than one line; rows are then as high as they need.
        wraps: the least width of the wide column if its small print is wrapped to it; 0 doesn't wrap.
    """

    def __init__(self, name: str, model: FigureModel[Any], theme: Theme, wide: int, *, several: bool = False,
                 tall: bool = False, wraps: int = 0) -> None:
        super().__init__(name, model, wide, several=several)
        self._wide, self._wraps = wide, wraps
        self._delegate = FigureDelegate(self, theme, wide if wraps else None)
        self.setItemDelegate(self._delegate)
        rows, columns = self.verticalHeader(), self.horizontalHeader()
        rows.setDefaultSectionSize(self.fontMetrics().height() + BAR_ROOM)
        columns.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        columns.setResizeContentsPrecision(_MEASURED_ROWS)
        columns.setSectionResizeMode(wide, QHeaderView.ResizeMode.Fixed if wraps else QHeaderView.ResizeMode.Stretch)
        if tall or wraps:
            rows.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
        if wraps:
            columns.geometriesChanged.connect(self._fit)
            columns.sectionResized.connect(self._section_resized)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._delegate.set_theme(theme)
        self.viewport().update()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Give the column that wraps the width that is left, and rows the height it then needs."""
        super().resizeEvent(event)
        if self._wraps:
            self._fit()

    def showEvent(self, event: QShowEvent) -> None:
        """Fit what came while nobody saw it."""
        super().showEvent(event)
        if self._wraps:
            self._fit()

    def _fit(self) -> None:
        if not self.isVisible():
            return  # each of ten columns that find their width would have all rows measured anew
        others = sum(self.columnWidth(c) for c in range(self.model().columnCount()) if c != self._wide)
        self.setColumnWidth(self._wide, max(self._wraps, self.viewport().width() - others))
        self.resizeRowsToContents()

    def _section_resized(self, column: int, _before: int, _now: int) -> None:
        if column != self._wide:
            self._fit()
