"""A line of text that gives way to narrow windows."""

from __future__ import annotations

from PySide6.QtCore import Qt
from PySide6.QtGui import QFontMetrics, QResizeEvent
from PySide6.QtWidgets import QLabel, QSizePolicy


class ElidedLabel(QLabel):
    """One line whose middle is left out where it doesn't fit; the whole text is its tooltip."""

    def __init__(self) -> None:
        super().__init__()
        self._whole = ""
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.setTextFormat(Qt.TextFormat.PlainText)

    def show_text(self, text: str, tip: str = "") -> None:
        """Show a text; `tip` is the tooltip, the text itself by default."""
        self._whole = text
        self.setToolTip(tip or text)
        self.setAccessibleName(tip or text)
        self._fit()

    def resizeEvent(self, event: QResizeEvent) -> None:
        """Leave out as much as the new width needs."""
        super().resizeEvent(event)
        self._fit()

    def _fit(self) -> None:
        elided = QFontMetrics(self.font()).elidedText(self._whole, Qt.TextElideMode.ElideMiddle, self.width())
        self.setText(elided)
