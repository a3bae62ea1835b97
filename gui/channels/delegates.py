"""Draws the bar below a mean activation and the sign before a channel's state."""

from __future__ import annotations

import math

from PySide6.QtCore import QModelIndex, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter, QPen
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem, QTableView

from gui.channels.model import MEAN, SORT_ROLE, STATE, RankingModel
from gui.widgets.theme import Theme

Index = QModelIndex | QPersistentModelIndex

_BAR = 4


class ChannelDelegate(QStyledItemDelegate):
    """For the ranking's table."""

    def __init__(self, table: QTableView, model: RankingModel, theme: Theme) -> None:
        super().__init__(table)
        self._model, self._theme = model, theme

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme

    def initStyleOption(self, option: QStyleOptionViewItem, index: Index) -> None:
        """Leave room for the sign before the state."""
        super().initStyleOption(option, index)
        if index.column() == STATE:
            option.text = f"      {option.text}"

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the cell, then its bar or sign."""
        cell = QStyleOptionViewItem(option)
        self.initStyleOption(cell, index)
        QApplication.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, cell, painter, cell.widget)
        selected = bool(cell.state & QStyle.StateFlag.State_Selected)
        value = index.data(SORT_ROLE)
        if not math.isfinite(value):
            return
        painter.save()
        painter.setRenderHint(QPainter.RenderHint.Antialiasing)
        if index.column() == MEAN:
            self._bar(painter, cell, value, QColor(self._theme.accent_text if selected else self._theme.clean))
        elif index.column() == STATE:
            self._sign(painter, cell, value == 0, QColor(self._theme.accent_text if selected else self._theme.text))
        painter.restore()

    def _bar(self, painter: QPainter, cell: QStyleOptionViewItem, value: float, colour: QColor) -> None:
        low, high = self._model.span
        room = QRectF(cell.rect).adjusted(6, cell.rect.height() - _BAR - 2, -6, -2)
        if high == low or room.width() <= 0:
            return
        zero, end = (room.left() + room.width() * (v - low) / (high - low) for v in (0.0, value))
        painter.fillRect(QRectF(min(zero, end), room.top(), abs(end - zero), room.height()), colour)

    @staticmethod
    def _sign(painter: QPainter, cell: QStyleOptionViewItem, dead: bool, colour: QColor) -> None:
        """A crossed-out ring for a dead channel, a full disc for a living one."""
        disc = QRectF(cell.rect.left() + 8, cell.rect.center().y() - 4, 9, 9)
        painter.setPen(QPen(colour, 1.5))
        painter.setBrush(Qt.BrushStyle.NoBrush if dead else colour)
        painter.drawEllipse(disc)
        if dead:
            painter.drawLine(disc.topRight(), disc.bottomLeft())
