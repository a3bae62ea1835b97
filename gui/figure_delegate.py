"""Draws a figure above its small print, and a verdict with its icon and wrapped sentence."""

from __future__ import annotations

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRect, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QFont, QFontMetrics, QPainter
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from gui.goodnets_model import DETAIL_ROLE, LEVEL_ROLE, VERDICT
from gui.rate_text import unbroken
from gui.theme import Theme
from gui.verdict_icon import level_colour, paint_level

Index = QModelIndex | QPersistentModelIndex

_PAD = 4
_ICON = 16


class FigureDelegate(QStyledItemDelegate):
    """For the GoodNets table: every cell is as high as its text needs."""

    def __init__(self, table: QTableView, theme: Theme) -> None:
        super().__init__(table)
        self._table, self._theme = table, theme

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the cell's ground and focus as the style does, and its two texts."""
        cell = QStyleOptionViewItem(option)
        self.initStyleOption(cell, index)
        text, cell.text = cell.text, ""
        QApplication.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, cell, painter, cell.widget)
        selected = bool(cell.state & QStyle.StateFlag.State_Selected)
        strong = QColor(self._theme.accent_text if selected else self._theme.text)
        muted = strong if selected else QColor(self._theme.muted)
        box = cell.rect.adjusted(_PAD, _PAD, -_PAD, -_PAD)
        painter.save()
        painter.setFont(cell.font)
        line = cell.fontMetrics.height()
        left = 0
        if index.column() == VERDICT:
            level = index.data(LEVEL_ROLE)
            colour = strong if selected else level_colour(level, self._theme)
            ground = QColor(self._theme.accent if selected else self._theme.surface)
            paint_level(painter, QRectF(box.x(), box.y() + (line - _ICON) / 2, _ICON, _ICON), level, colour, ground)
            left = _ICON + 6
        align = Qt.AlignmentFlag.AlignLeft if index.column() == VERDICT else Qt.AlignmentFlag.AlignRight
        painter.setPen(strong)
        painter.drawText(QRect(box.x() + left, box.y(), box.width() - left, line), align, text)
        painter.setPen(strong if index.column() == VERDICT else muted)
        painter.setFont(self._small(cell))
        painter.drawText(box.adjusted(0, line + 2, 0, 0), align | Qt.TextFlag.TextWordWrap,
                         unbroken(index.data(DETAIL_ROLE)))
        painter.restore()

    def sizeHint(self, option: QStyleOptionViewItem, index: Index) -> QSize:
        """As wide as the longer line; a verdict as high as its sentence at the column's width."""
        cell = QStyleOptionViewItem(option)
        self.initStyleOption(cell, index)
        detail, small = unbroken(index.data(DETAIL_ROLE)), QFontMetrics(self._small(cell))
        line = cell.fontMetrics.height()
        if index.column() == VERDICT:
            width = self._table.columnWidth(VERDICT)
            room = QRect(0, 0, max(1, width - 2 * _PAD), 10_000)
            text = small.boundingRect(room, Qt.TextFlag.TextWordWrap, detail)
            return QSize(width, line + 2 + text.height() + 2 * _PAD)
        wide = max(cell.fontMetrics.horizontalAdvance(cell.text), small.horizontalAdvance(detail))
        return QSize(wide + 2 * _PAD + 2, line + 2 + small.height() + 2 * _PAD)

    @staticmethod
    def _small(cell: QStyleOptionViewItem) -> QFont:
        font = QFont(cell.font)
        font.setPointSizeF(max(8.0, 0.88 * font.pointSizeF()))
        return font
