"""Draws table cells of figures: each above its small print, a verdict with its icon and sentence, a bar below."""

from __future__ import annotations

from functools import lru_cache

from PySide6.QtCore import QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter, QPen
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from engine.literal import unbroken
from gui.tables.model import BLOCKS_ROLE, Bar, Block, Index
from gui.widgets.theme import Theme
from gui.widgets.verdict_icon import level_colour, paint_level

# What a row of one line needs besides it, so that a bar has its place.
BAR_ROOM = 14

_PAD = 4
_ICON, _DOT, _AFTER_SIGN = 16, 9, 6
_BETWEEN_BLOCKS = 6
_BAR = 5
# Characters of a name that are shown; of a longer one the whole is in the tooltip.
_WIDEST = 48


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
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        for block in index.data(BLOCKS_ROLE):
            self._paint_block(painter, cell, box, block)
            if block.bar:
                self._paint_bar(painter, cell, block.bar)
            box.setTop(box.top() + _two_lines(cell.font) + _BETWEEN_BLOCKS)
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """As wide as the longest line; the column that wraps as high as its sentence at the column's width."""
        wraps = index.column() == self._wrapping
        return _size(index.data(BLOCKS_ROLE), option.font.toString(),
                     self._table.columnWidth(index.column()) if wraps else None)

    def _paint_block(self, painter: QPainter, cell: QStyleOptionViewItem, box: QRect, block: Block) -> None:
        selected = _is_selected(cell)
        strong = QColor(self._theme.accent_text if selected else self._theme.text)
        muted = strong if selected or block.level else QColor(self._theme.muted)
        line, left = cell.fontMetrics.height(), _sign_room(block)
        self._paint_sign(painter, cell, box, block, strong)
        align = cell.displayAlignment & Qt.AlignmentFlag.AlignHorizontal_Mask
        painter.setFont(cell.font)
        painter.setPen(strong)
        room = QRect(box.x() + left, box.y(), box.width() - left, line)
        painter.drawText(room, align, cell.fontMetrics.elidedText(
            block.figure, Qt.TextElideMode.ElideRight, room.width()))
        painter.setFont(_small(cell.font))
        painter.setPen(muted)
        painter.drawText(box.adjusted(0, line + 2, 0, 0), align | Qt.TextFlag.TextWordWrap, unbroken(block.detail))

    def _paint_sign(
        self, painter: QPainter, cell: QStyleOptionViewItem, box: QRect, block: Block, strong: QColor,
    ) -> None:
        line = cell.fontMetrics.height()
        if block.level:
            selected = _is_selected(cell)
            colour = strong if selected else level_colour(block.level, self._theme)
            ground = QColor(self._theme.accent if selected else self._theme.surface)
            icon = QRectF(box.x(), box.y() + (line - _ICON) / 2, _ICON, _ICON)
            paint_level(painter, icon, block.level, colour, ground)
        elif block.dot:
            disc = QRectF(box.x() + 1, box.y() + (line - _DOT) / 2, _DOT, _DOT)
            painter.setPen(QPen(strong, 1.5))
            painter.setBrush(strong if block.dot == "full" else Qt.BrushStyle.NoBrush)
            painter.drawEllipse(disc)
            if block.dot == "crossed":
                painter.drawLine(disc.topRight(), disc.bottomLeft())

    def _paint_bar(self, painter: QPainter, cell: QStyleOptionViewItem, bar: Bar) -> None:
        colour = self._theme.accent_text if _is_selected(cell) else \
            self._theme.clean if bar.colour == "clean" else self._theme.attack[0]
        room = QRectF(cell.rect).adjusted(6, cell.rect.height() - _BAR - 2, -6, -2)
        # Bars of a column share their scale from the cell's left to its right, so that their ends can be compared.
        painter.fillRect(QRectF(room.left() + room.width() * bar.start, room.top(),
                                room.width() * (bar.end - bar.start), room.height()), QColor(colour))


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
    wide = max(max(_sign_room(block) + line.horizontalAdvance(block.figure), small.horizontalAdvance(block.detail))
               for block in blocks)
    return QSize(min(wide, _WIDEST * line.averageCharWidth()) + 2 * _PAD + 2, above + _two_lines(font) + 2 * _PAD)


def _sign_room(block: Block) -> int:
    return (_ICON if block.level else _DOT + 2) + _AFTER_SIGN if block.level or block.dot else 0


def _is_selected(cell: QStyleOptionViewItem) -> bool:
    return bool(cell.state & QStyle.StateFlag.State_Selected)


def _two_lines(font: QFont) -> int:
    return QFontMetrics(font).height() + 2 + QFontMetrics(_small(font)).height()


def _small(font: QFont) -> QFont:
    font = QFont(font)
    font.setPointSizeF(max(8.0, 0.88 * font.pointSizeF()))
    return font
