"""The table of all defences as a Qt model: a row for each defence, plain and behind each guard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from engine.rates import Rate
from gui.widgets.figure_delegate import BLOCKS_ROLE, Block
from gui.widgets.rate_text import interval_text, rate_text

if TYPE_CHECKING:
    from engine.defences.comparison import Comparison, ComparisonRow

Index = QModelIndex | QPersistentModelIndex

DEFENCE = 0


@dataclass(frozen=True)
class Column:
    """A column: heading, what it means in plain words, and a row's figure."""

    heading: str
    meaning: str
    block: Callable[[ComparisonRow], Block]


def _rate_column(heading: str, meaning: str, rate: Callable[[ComparisonRow], Rate | None]) -> Column:
    return Column(heading, f"{meaning} Below it: the true rate lies in this range of per cent with 95 % confidence.",
                  lambda row: Block(rate_text(rate(row)), interval_text(rate(row))))


COLUMNS: tuple[Column, ...] = (
    Column("Defence\n(guard)", "What answers. B: the network itself. Pruned, fine-pruned, repaired: the pair of B and "
           "that copy, which answers only where both agree, unless it says alone. Below it: what stands before it and "
           "flags images as backdoored.",
           lambda row: Block(row.defence, "no guard" if row.guard == "none" else f"{row.guard} guard")),
    _rate_column("Clean\naccuracy", "The share of clean images that are labelled right.",
                 lambda row: row.clean_accuracy),
    _rate_column("Attack\nsuccess", "Attack success rate: the share of poisoned images that get the label the attacker "
                 "wants.", lambda row: row.attack_success),
    _rate_column("Robust\naccuracy", "The share of poisoned images that get their true label in spite of the trigger. "
                 "Known only where the poisoned images are the clean ones wearing it.",
                 lambda row: row.robust_accuracy),
    _rate_column("False\nalarms", "The share of clean images wrongly labelled N, backdoored.",
                 lambda row: row.false_alarms),
    _rate_column("Detection", "The share of poisoned images labelled N, backdoored.", lambda row: row.detection),
    Column("Seconds", "What the defence and its guard took to make on this machine.",
           lambda row: Block(f"{row.seconds:.1f}")),
)


class DefencesModel(QAbstractTableModel):
    """Rows of ComparisonRow; BLOCKS_ROLE gives what FigureDelegate draws."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.rows: tuple[ComparisonRow, ...] = ()

    def show_comparison(self, comparison: Comparison | None) -> None:
        """Take a comparison's rows; None for none."""
        self.beginResetModel()
        self.rows = comparison.rows if comparison else ()
        self.endResetModel()

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """Defences times guards."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Figures."""
        return 0 if parent.isValid() else len(COLUMNS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A figure, its small print, or both in words for assistive technology."""
        row, column = self.rows[index.row()], COLUMNS[index.column()]
        if role == BLOCKS_ROLE:
            return (column.block(row),)
        if role == Qt.ItemDataRole.DisplayRole:
            return column.block(row).figure
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return column.block(row).words
        if role == Qt.ItemDataRole.ToolTipRole:
            return column.meaning
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft if index.column() == DEFENCE else Qt.AlignmentFlag.AlignRight
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings, and what they mean as tooltips."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return COLUMNS[section].heading
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return COLUMNS[section].meaning
        return None
