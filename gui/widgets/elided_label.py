"""Labels that show words as they are: nothing in them is markup, and what a screen would obey is spelled out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QAction, QGuiApplication, QPainter, QPaintEvent, QTextLayout, QTextOption
from PySide6.QtWidgets import QLabel, QSizePolicy

from gui.widgets.texts import as_tip, plain

# Of average width, in a line of text for an empty view.
_LETTERS = 130


class PlainLabel(QLabel):
    """A label for words that may come from a file. Lines are those that the program makes of it."""

    def __init__(self, text: str = "", **properties: Any) -> None:
        super().__init__(**properties)
        self.setTextFormat(Qt.TextFormat.PlainText)
        self.setText(text)

    def setText(self, text: str) -> None:
        """Show a text."""
        super().setText(plain(text))

    def setToolTip(self, text: str) -> None:
        """Explain it."""
        super().setToolTip(as_tip(text))


class EmptyText(PlainLabel):
    """What a view says in its middle while it is empty, in lines that are read easily, however wide the view is."""

    def __init__(self, text: str) -> None:
        super().__init__(text, wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter)
        self.setMargin(24)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the text in the middle."""
        room = self.contentsRect().adjusted(self.margin(), self.margin(), -self.margin(), -self.margin())
        width = min(room.width(), _LETTERS * self.fontMetrics().averageCharWidth())
        room.setRect(room.center().x() - width // 2, room.y(), width, room.height())
        flags = Qt.AlignmentFlag.AlignCenter.value | Qt.TextFlag.TextWordWrap.value
        self.style().drawItemText(QPainter(self), room, flags, self.palette(), self.isEnabled(), self.text(),
                                  self.foregroundRole())


class ElidedLabel(PlainLabel):
    """A line or a few that end in an ellipsis where they don't fit; the whole text is the tooltip, and can be copied.

    Args:
        lines: how many there is room for, whether the text needs them or not.
        where: the ellipsis stands, at the end or where texts are least likely to differ.
    """

    def __init__(self, lines: int = 1, where: Qt.TextElideMode = Qt.TextElideMode.ElideRight) -> None:
        super().__init__()
        self._lines, self._where = lines, where
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        copy = QAction("&Copy", self)
        copy.triggered.connect(lambda: QGuiApplication.clipboard().setText(self.text()))
        self.addAction(copy)
        self.setContextMenuPolicy(Qt.ContextMenuPolicy.ActionsContextMenu)

    def show_text(self, text: str, tip: str = "") -> None:
        """Show a text; `tip` is the tooltip, the text itself by default."""
        self.setText(text)
        self.setToolTip(tip or text)
        self.setAccessibleName(tip or text)

    def minimumSizeHint(self) -> QSize:
        """No text is too long."""
        return QSize(0, self._lines * self.fontMetrics().lineSpacing() + 2)

    def sizeHint(self) -> QSize:
        """As wide as others make it."""
        return self.minimumSizeHint()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw as much as fits."""
        painter = QPainter(self)
        painter.setPen(self.palette().color(self.foregroundRole()))
        lines, spacing = list(self.shown_lines()), self.fontMetrics().lineSpacing()
        top = (self.height() - len(lines) * spacing) // 2
        for number, line in enumerate(lines):
            painter.drawText(QRect(0, top + number * spacing, self.width(), spacing),
                             Qt.AlignmentFlag.AlignVCenter | Qt.TextFlag.TextSingleLine, line)
        painter.end()

    def shown_lines(self) -> Iterator[str]:
        """The text as it is drawn at the present width."""
        text = self.text()
        layout = QTextLayout(text, self.font())
        option = QTextOption()
        option.setWrapMode(QTextOption.WrapMode.WrapAtWordBoundaryOrAnywhere)
        layout.setTextOption(option)
        layout.beginLayout()
        for number in range(self._lines):
            line = layout.createLine()
            if not line.isValid():
                break
            line.setLineWidth(max(1, self.width()))
            rest = text[line.textStart():]
            if number == self._lines - 1 or len(rest) <= line.textLength():
                yield self.fontMetrics().elidedText(rest, self._where, self.width())
                break
            yield rest[:line.textLength()]
        layout.endLayout()
