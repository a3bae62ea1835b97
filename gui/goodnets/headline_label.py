"""What a person takes home, in large print with an icon: the figures, and below them what they mean."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent
from PySide6.QtWidgets import QHBoxLayout, QLabel, QSizePolicy, QVBoxLayout, QWidget

from engine.assessment import Level
from gui.widgets.texts import unbroken
from gui.widgets.theme import Theme
from gui.widgets.verdict_icon import WORDS, level_colour, paint_level

if TYPE_CHECKING:
    from engine.reports.headline import Headline

_ENLARGED = 1.35


class HeadlineLabel(QWidget):
    """Shows a Headline; hidden while there is none."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._icon = LevelIcon(theme)
        self.figures, self.sentence = QLabel(), QLabel()
        font = self.figures.font()
        font.setPointSizeF(_ENLARGED * font.pointSizeF())
        font.setBold(True)
        self.figures.setFont(font)
        for label in (self.figures, self.sentence):
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        words = QVBoxLayout()
        words.setSpacing(2)
        words.addWidget(self.figures)
        words.addWidget(self.sentence)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 4, 0, 4)
        row.setSpacing(10)
        row.addWidget(self._icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._icon.set_theme(theme)

    def show_headline(self, found: Headline | None) -> None:
        """Show a headline, or hide."""
        self.setVisible(found is not None)
        if found:
            self._icon.show_level(found.level)
            self.figures.setText(unbroken(found.figures).replace(" → ", "\u00a0→\u00a0"))
            self.sentence.setText(unbroken(found.sentence))


class LevelIcon(QWidget):
    """A verdict's icon."""

    def __init__(self, theme: Theme, side: int = 26) -> None:
        super().__init__()
        self._theme, self._side = theme, side
        self._level: Level = "unknown"
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        self.update()

    def show_level(self, level: Level) -> None:
        """Show another level's icon."""
        self._level = level
        self.setAccessibleName(WORDS[level])
        self.setToolTip(WORDS[level])
        self.update()

    def sizeHint(self) -> QSize:
        """The icon's size."""
        return QSize(self._side, self._side)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw the icon."""
        painter = QPainter(self)
        paint_level(painter, QRectF(0, 0, self._side, self._side), self._level, level_colour(self._level, self._theme),
                    QColor(self._theme.surface))
        painter.end()
