"""Draws table cells of figures: each above its small print, a verdict with its icon and wrapped sentence.

A model gives a cell's content as blocks, one below the other, such as a figure without the guard and one behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from engine.assessment import Level
from gui.widgets.rate_text import unbroken
from gui.widgets.theme import Theme
from gui.widgets.verdict_icon import level_colour, paint_level

Index = QModelIndex | QPersistentModelIndex

BLOCKS_ROLE = Qt.ItemDataRole.UserRole

_PAD = 4
_ICON = 16
_BETWEEN_BLOCKS = 6


@dataclass(frozen=True)
class Block:
    """A figure, its small print below, and for a verdict the level of its icon."""

    figure: str
    detail: str = ""
    level: Level | None = None

    @property
    def words(self) -> str:
        """Both on one line."""
        return f"{self.figure} {self.detail}".strip()


class FigureDelegate(QStyledItemDelegate):
    """For tables whose models answer BLOCKS_ROLE with tuples of Block.

    Blocks of a row stand on the same lines in all columns: all but the last are two lines high, so only the last block
    of the column that wraps may have longer small print.

    Args:
        wrapping: the column whose small print is wrapped to its width; None for none.
    """

    def __init__(self, table: QTableView, theme: Theme, wrapping: int | None = None) -> None:
        super().__init__(table)
        self._table, self._theme, self._wrapping = table, theme, wrapping

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the cell's ground and focus as the style does, and its blocks."""
        cell = QStyleOptionViewItem(option)
        self.initStyleOption(cell, index)
        cell.text = ""
        QApplication.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, cell, painter, cell.widget)
        box = cell.rect.adjusted(_PAD, _PAD, -_PAD, -_PAD)
        painter.save()
        for block in index.data(BLOCKS_ROLE):
            self._paint_block(painter, cell, box, block)
            box.setTop(box.top() + _two_lines(cell.font) + _BETWEEN_BLOCKS)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """As wide as the longest line; the column that wraps as high as its sentence at the column's width."""
        wraps = index.column() == self._wrapping
        return _size(index.data(BLOCKS_ROLE), option.font.toString(),
                     self._table.columnWidth(index.column()) if wraps else None)

    def _paint_block(self, painter: QPainter, cell: QStyleOptionViewItem, box: QRect, block: Block) -> None:
        selected = bool(cell.state & QStyle.StateFlag.State_Selected)
        strong = QColor(self._theme.accent_text if selected else self._theme.text)
        muted = strong if selected or block.level else QColor(self._theme.muted)
        line, left = cell.fontMetrics.height(), 0
        if block.level:
            colour = strong if selected else level_colour(block.level, self._theme)
            ground = QColor(self._theme.accent if selected else self._theme.surface)
            icon = QRectF(box.x(), box.y() + (line - _ICON) / 2, _ICON, _ICON)
            paint_level(painter, icon, block.level, colour, ground)
            left = _ICON + 6
        align = cell.displayAlignment & Qt.AlignmentFlag.AlignHorizontal_Mask
        painter.setFont(cell.font)
        painter.setPen(strong)
        painter.drawText(QRect(box.x() + left, box.y(), box.width() - left, line), align, block.figure)
        painter.setFont(_small(cell.font))
        painter.setPen(muted)
        painter.drawText(box.adjusted(0, line + 2, 0, 0), align | Qt.TextFlag.TextWordWrap, unbroken(block.detail))


@lru_cache(maxsize=1024)
def _size(blocks: tuple[Block, ...], font_name: str, width: int | None) -> QSize:
    """A cell's size; `width` is that of a column that wraps. A table being laid out asks for each cell many times."""
    font = QFont()
    font.fromString(font_name)
    above = (len(blocks) - 1) * (_two_lines(font) + _BETWEEN_BLOCKS)
    line, small = QFontMetrics(font), QFontMetrics(_small(font))
    if width is not None:
        room = QRect(0, 0, max(1, width - 2 * _PAD), 10_000)
        text = small.boundingRect(room, Qt.TextFlag.TextWordWrap, unbroken(blocks[-1].detail))
        return QSize(width, above + line.height() + 2 + text.height() + 2 * _PAD)
    wide = max(max(line.horizontalAdvance(block.figure), small.horizontalAdvance(block.detail)) for block in blocks)
    return QSize(wide + 2 * _PAD + 2, above + _two_lines(font) + 2 * _PAD)


def _two_lines(font: QFont) -> int:
    return QFontMetrics(font).height() + 2 + QFontMetrics(_small(font)).height()


def _small(font: QFont) -> QFont:
    font = QFont(font)
    font.setPointSizeF(max(8.0, 0.88 * font.pointSizeF()))
    return font
