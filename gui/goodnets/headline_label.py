"""What a person takes home, with an icon: in large print the figures, below what they mean and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QVBoxLayout, QWidget

from engine.literal import unbroken
from gui.widgets.elided_label import PlainLabel
from gui.widgets.theme import Theme
from gui.widgets.verdict_icon import LevelIcon

if TYPE_CHECKING:
    from engine.reports.headline import Headline

_ENLARGED = 1.35


class HeadlineLabel(QWidget):
    """Shows a Headline; hidden while there is none."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._icon = LevelIcon(theme)
        self.figures, self.sentence, self.recommendation = PlainLabel(), PlainLabel(), PlainLabel()
        font = self.figures.font()
        font.setPointSizeF(_ENLARGED * font.pointSizeF())
        font.setBold(True)
        self.figures.setFont(font)
        parts = (self.figures, self.sentence, self.recommendation)
        for label in parts:
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
        words = QVBoxLayout()
        words.setSpacing(2)
        for label in parts:
            words.addWidget(label)
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
            self.recommendation.setText(unbroken(found.recommendation))
            self.recommendation.setVisible(bool(found.recommendation))
