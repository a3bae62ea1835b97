"""The table of a scan's suspects as a Qt model, and the bar below each count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from PySide6.QtCore import QAbstractTableModel, QModelIndex, QObject, QPersistentModelIndex, QRectF, Qt
from PySide6.QtGui import QColor, QPainter
from PySide6.QtWidgets import QApplication, QStyle, QStyledItemDelegate, QStyleOptionViewItem

from gui.widgets.label_text import label_text
from gui.widgets.theme import Theme

if TYPE_CHECKING:
    from engine.defences.scan import Scan, Suspect

Index = QModelIndex | QPersistentModelIndex

RANK, LABEL, COUNT = range(3)
SHARE_ROLE = Qt.ItemDataRole.UserRole

_HEADINGS = {
    RANK: ("Rank", "1 is the most suspect label."),
    LABEL: ("Label", "A label that images changed to when a stamp was put on them."),
    COUNT: ("Images drawn to it", "How many of the images that changed their label changed to this one. "
                                  "The bar compares it with the first."),
}
_BAR = 5


class ScanModel(QAbstractTableModel):
    """Suspects, most suspect first; SHARE_ROLE gives a count as a fraction of the first's."""

    def __init__(self, parent: QObject | None = None) -> None:
        super().__init__(parent)
        self.suspects: tuple[Suspect, ...] = ()
        self._names: Sequence[str] = ()

    def show_scan(self, found: Scan | None) -> None:
        """Take a scan's suspects; None for none."""
        self.beginResetModel()
        self.suspects = found.suspects if found else ()
        self.endResetModel()

    def set_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]."""
        self._names = names
        if self.suspects:
            self.dataChanged.emit(self.index(0, LABEL), self.index(len(self.suspects) - 1, LABEL))

    def rowCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008 (Qt's own signature)
        """Suspects."""
        return 0 if parent.isValid() else len(self.suspects)

    def columnCount(self, parent: Index = QModelIndex()) -> int:  # noqa: B008
        """Rank, label and count."""
        return 0 if parent.isValid() else len(_HEADINGS)

    def data(self, index: Index, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """A cell's text, its alignment, or the length of its bar."""
        suspect, column = self.suspects[index.row()], index.column()
        if role == Qt.ItemDataRole.DisplayRole:
            return {RANK: str(index.row() + 1), LABEL: label_text(suspect.label, self._names),
                    COUNT: f"{suspect.count:,}"}[column]
        if role == Qt.ItemDataRole.TextAlignmentRole:
            side = Qt.AlignmentFlag.AlignLeft if column == LABEL else Qt.AlignmentFlag.AlignRight
            return side | Qt.AlignmentFlag.AlignVCenter
        if role == SHARE_ROLE and column == COUNT:
            return suspect.count / max(1, self.suspects[0].count)
        return None

    def headerData(self, section: int, orientation: Qt.Orientation, role: int = Qt.ItemDataRole.DisplayRole) -> Any:
        """Headings, and what they mean as tooltips."""
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.DisplayRole:
            return _HEADINGS[section][0]
        if orientation == Qt.Orientation.Horizontal and role == Qt.ItemDataRole.ToolTipRole:
            return _HEADINGS[section][1]
        return None


class BarDelegate(QStyledItemDelegate):
    """Draws a cell and, where SHARE_ROLE gives a fraction, a bar below its text."""

    def __init__(self, parent: QObject, theme: Theme) -> None:
        super().__init__(parent)
        self._theme = theme

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme

    def paint(self, painter: QPainter, option: QStyleOptionViewItem, index: Index) -> None:
        """Draw the cell as the style does, then its bar."""
        cell = QStyleOptionViewItem(option)
        self.initStyleOption(cell, index)
        QApplication.style().drawControl(QStyle.ControlElement.CE_ItemViewItem, cell, painter, cell.widget)
        share = index.data(SHARE_ROLE)
        if share is None:
            return
        selected = bool(cell.state & QStyle.StateFlag.State_Selected)
        room = QRectF(cell.rect).adjusted(6, cell.rect.height() - _BAR - 2, -6, -2)
        # Bars grow from the left, so that their ends can be compared.
        room.setWidth(room.width() * share)
        painter.fillRect(room, QColor(self._theme.accent_text if selected else self._theme.attack[0]))
