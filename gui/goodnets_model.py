"""The table of GoodNets as a Qt model: a row for each threshold, a column for each figure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from engine.rates import Rate
from gui.rate_text import interval_text, rate_text
from gui.verdict_icon import WORDS

if TYPE_CHECKING:
    from engine.runs import GoodNetRow

Index = QModelIndex | QPersistentModelIndex

DETAIL_ROLE = Qt.ItemDataRole.UserRole
LEVEL_ROLE = Qt.ItemDataRole.UserRole + 1


@dataclass(frozen=True)
class Column:
    """A column: heading, what it means in plain words, and a row's figure with its small print."""

    heading: str
    meaning: str
    figure: Callable[[GoodNetRow], str]
    detail: Callable[[GoodNetRow], str]


def _rate_column(heading: str, meaning: str, rate: Callable[[GoodNetRow], Rate | None]) -> Column:
    return Column(heading, f"{meaning} Below it: the true rate lies in this range of per cent with 95 % confidence.",
                  lambda row: rate_text(rate(row)), lambda row: interval_text(rate(row)))


COLUMNS: tuple[Column, ...] = (
    Column("X", "The threshold: how much clean accuracy on validation images the pruning was allowed to cost.",
           lambda row: f"{row.x:g}", lambda row: ""),
    Column("Channels\npruned", "How many channels of the layer are switched off in B', the pruned copy.",
           lambda row: str(row.channels_pruned), lambda row: ""),
    Column("Drop\n(relative)", "What the pruned copy really lost on validation images, in percentage points. "
           "Below it: as a share of B's accuracy.",
           lambda row: f"{row.drop_points:.2f} pts", lambda row: f"{row.drop_relative_percent:.1f} %"),
    _rate_column("Clean\naccuracy", "The share of clean images that the GoodNet labels right.", lambda row: row.clean),
    _rate_column("Attack\nsuccess", "Attack success rate: the share of poisoned images on which the GoodNet answers "
                 "the label the attacker wants.", lambda row: row.attack),
    _rate_column("False\nalarms", "The share of clean images that the GoodNet wrongly labels N, backdoored.",
                 lambda row: row.false_alarms),
    _rate_column("Detection", "The share of poisoned images that the GoodNet labels N, backdoored.",
                 lambda row: row.detection),
    Column("Verdict", "What the figures mean for someone who wants to use this GoodNet.",
           lambda row: WORDS[row.assessment.level], lambda row: row.assessment.sentence),
)
VERDICT = len(COLUMNS) - 1


class GoodNetsModel(QAbstractTableModel):
    """Rows of GoodNetRow; DETAIL_ROLE gives the small print, LEVEL_ROLE the verdict's level."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[GoodNetRow, ...] = ()

    def show_rows(self, rows: Sequence[GoodNetRow]) -> None:
        """Take new rows; thresholds that stay keep their selection."""
        rows = tuple(rows)
        if [row.x for row in rows] == [row.x for row in self.rows]:
            if rows != self.rows:
                self.rows = rows
                self.dataChanged.emit(self.index(0, 0), self.index(len(rows) - 1, VERDICT))
            return
        self.beginResetModel()
        self.rows = rows
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """Thresholds."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Figures."""
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A figure, its small print, or both in words for assistive technology."""
        row, column = self.rows[index.row()], COLUMNS[index.column()]
        if role == Qt.ItemDataRole.DisplayRole:
            return column.figure(row)
        if role == DETAIL_ROLE:
            return column.detail(row)
        if role == LEVEL_ROLE:
            return row.assessment.level
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return f"{column.figure(row)} {column.detail(row)}".strip()
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.detail(row) if index.column() == VERDICT else column.meaning
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings, and what they mean as tooltips."""
        if orientation == Qt.Orientation.Vertical:
            return None
        if role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].heading
        if role == Qt.ItemDataRole.ToolTipRole:
            return COLUMNS[section].meaning
        return None
