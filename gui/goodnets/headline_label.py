"""What a person takes home: what is doubtful, then in large print the figures, what they mean, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QLabel, QVBoxLayout, QWidget

from gui.widgets.texts import unbroken
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
        self.warnings, self.figures, self.sentence, self.recommendation = QLabel(), QLabel(), QLabel(), QLabel()
        self.warnings.setAccessibleName("Warning")
        font = self.figures.font()
        font.setPointSizeF(_ENLARGED * font.pointSizeF())
        font.setBold(True)
        self.figures.setFont(font)
        parts = (self.warnings, self.figures, self.sentence, self.recommendation)
        for label in parts:
            label.setWordWrap(True)
            label.setTextFormat(Qt.TextFormat.PlainText)
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
        self.set_theme(theme)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._icon.set_theme(theme)
        self.warnings.setStyleSheet(f"color: {theme.warning}; font-weight: bold")

    def show_headline(self, found: Headline | None) -> None:
        """Show a headline, or hide."""
        self.setVisible(found is not None)
        if found:
            self._icon.show_level(found.level)
            self.figures.setText(unbroken(found.figures).replace(" → ", "\u00a0→\u00a0"))
            self.sentence.setText(unbroken(found.sentence))
            self.recommendation.setText(unbroken(found.recommendation))
            self.recommendation.setVisible(bool(found.recommendation))
            self.warnings.setText("\n".join(f"Warning: {unbroken(sentence)}" for sentence in found.warnings))
            self.warnings.setVisible(bool(found.warnings))
