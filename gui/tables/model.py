"""A table as data: a row for each thing, a column for each of its figures, a cell in blocks one below the other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, Qt

from engine.assessment import Attack, Figures, Level
from engine.rates import Rate
from gui.widgets.texts import as_tip, interval_text, plain, rate_text

Index = QModelIndex | QPersistentModelIndex
Row = TypeVar("Row")

BLOCKS_ROLE = Qt.ItemDataRole.UserRole
_LONGEST_NAME, _LONGEST_BEFORE_TARGET = 14, 6


@dataclass(frozen=True)
class Bar:
    """A bar below a figure, in fractions 0 to 1 of the cell's width, in the colour of clean images or of the attack."""

    start: float
    end: float
    colour: Literal["clean", "attack"]


@dataclass(frozen=True)
class Block:
    """A figure and its small print below.

    Attributes:
        level: of a verdict, drawn as its icon before the figure.
        dot: a full disc or a crossed-out ring before the figure.
        bar: drawn at the cell's lower edge.
        tip: all of it in words, where the small print is too small for that.
    """

    figure: str
    detail: str = ""
    level: Level | None = None
    dot: Literal["full", "crossed"] | None = None
    bar: Bar | None = None
    tip: str = ""

    @property
    def words(self) -> str:
        """All on one line."""
        return self.tip or f"{self.figure} {self.detail}".strip()


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column: heading, what it means in plain words, and a row's blocks.

    Attributes:
        left: whether it holds words, which stand at the left, and not figures.
        key: what rows are sorted by.
    """

    heading: str
    meaning: str
    blocks: Callable[[Row], tuple[Block, ...]]
    left: bool = False
    key: Callable[[Row], Any] | None = None


def rate_column(heading: str, meaning: str, rates: Callable[[Row], Sequence[Rate | None]]) -> Column[Row]:
    """A column of rates with their intervals; several of a row stand below one another."""
    return Column(heading, f"{meaning} Below it: the true rate lies in this range of per cent with 95 % confidence.",
                  lambda row: tuple(Block(rate_text(rate), interval_text(rate)) for rate in rates(row)))


def set_columns(sets: Sequence[Attack], figures: Callable[[Row], Sequence[Figures]]) -> list[Column[Row]]:
    """A column for each of several poisoned sets: attack success, below it detection. None for a single set.

    Args:
        sets: any row's Figures.attacks; figures: those of a row, one below another.
    """
    return [_set_column(number, one, figures) for number, one in enumerate(sets)] if len(sets) > 1 else []


def _set_column(number: int, of: Attack, figures: Callable[[Row], Sequence[Figures]]) -> Column[Row]:
    def blocks(row: Row) -> tuple[Block, ...]:
        attacks = (one.attacks[number] for one in figures(row))
        return tuple(Block(rate_text(attack.success), f"N: {rate_text(attack.detection)}") for attack in attacks)

    what = "Reconstructed" if of.reconstructed else "Attack"
    return Column(f"{what}:\n{_short(of.name)}", f"Attack success rate on the poisoned set {of.title}. Below it: the "
                  "share of these images labelled N, backdoored. The set on which the attack works most decides.",
                  blocks)


def _short(name: str) -> str:
    """A set's name as a heading has room for it; a part of a file keeps the target that it is named by."""
    file, part, target = name.partition(" (target ")
    room = _LONGEST_BEFORE_TARGET if part else _LONGEST_NAME
    return (file if len(file) <= room else f"{file[:room - 1]}…") + part + target


class FigureModel(QAbstractTableModel, Generic[Row]):
    """BLOCKS_ROLE gives what FigureDelegate draws."""

    def __init__(self, columns: Sequence[Column[Row]], parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.columns = tuple(columns)
        self.rows: tuple[Row, ...] = ()
        self._cells: dict[tuple[int, int], tuple[Block, ...]] = {}
        self._order: tuple[Callable[[Row], Any], bool] | None = None

    def show_rows(self, rows: Sequence[Row], columns: Sequence[Column[Row]] | None = None) -> None:
        """Take new rows in place of all others, and new columns, where these depend on the rows."""
        self.beginResetModel()
        self.rows = self._sorted(rows)
        self.columns = self.columns if columns is None else tuple(columns)
        self._cells.clear()
        self.endResetModel()

    def change_rows(self, rows: Sequence[Row]) -> None:
        """Take new contents of the rows that are there, which stay selected."""
        assert len(rows) == len(self.rows)
        self.rows = tuple(rows)
        self._cells.clear()
        if self.rows:
            self.dataChanged.emit(self.index(0, 0), self.index(len(self.rows) - 1, len(self.columns) - 1))

    def sort(self, column: int, order: Qt.SortOrder = Qt.SortOrder.AscendingOrder) -> None:
        """Bring rows into the order of a column, these and all that are shown later; what is selected stays so.

        By itself, because a model between would ask thirty thousand times for the keys of two thousand rows.
        """
        key = self.columns[column].key if 0 <= column < len(self.columns) else None
        self._order = (key, order == Qt.SortOrder.DescendingOrder) if key else None
        self.layoutAboutToBeChanged.emit()
        before, self.rows = self.rows, self._sorted(self.rows)
        place = {id(row): number for number, row in enumerate(self.rows)}
        indexes = self.persistentIndexList()
        self.changePersistentIndexList(indexes, [self.index(place[id(before[i.row()])], i.column()) for i in indexes])
        self._cells.clear()
        self.layoutChanged.emit()

    def _sorted(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        return tuple(sorted(rows, key=self._order[0], reverse=self._order[1]) if self._order else rows)

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """Rows."""
        return 0 if parent.isValid() else len(self.rows)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Columns."""
        return 0 if parent.isValid() else len(self.columns)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Blocks to draw, and their words for people and assistive technology."""
        row, column = self.rows[index.row()], self.columns[index.column()]
        if role == BLOCKS_ROLE:
            return self._blocks(index)
        if role == Qt.ItemDataRole.DisplayRole:
            return "\n".join(block.figure for block in self._blocks(index))
        if role == Qt.ItemDataRole.AccessibleTextRole:
            return "; ".join(block.words for block in self._blocks(index))
        if role == Qt.ItemDataRole.ToolTipRole:
            words = "\n".join(block.tip or block.figure for block in column.blocks(row))
            return as_tip(f"{words}\n\n{column.meaning}" if column.left else column.meaning)
        if role == Qt.ItemDataRole.TextAlignmentRole:
            return Qt.AlignmentFlag.AlignLeft if column.left else Qt.AlignmentFlag.AlignRight
        return None

    def _blocks(self, index: Index) -> tuple[Block, ...]:
        """A cell's blocks, made once: a table that is laid out asks for each cell many times."""
        cell = index.row(), index.column()
        if cell not in self._cells:
            self._cells[cell] = tuple(dataclasses.replace(block, figure=plain(block.figure), detail=plain(block.detail),
                                                          tip=plain(block.tip))
                                      for block in self.columns[cell[1]].blocks(self.rows[cell[0]]))
        return self._cells[cell]

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings, and what they mean as tooltips."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return plain(self.columns[section].heading)
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return as_tip(self.columns[section].meaning)
        return None
