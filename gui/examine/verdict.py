"""The answer, first and in large print: the verdict with its icon, what it rests on, and what it can't see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import Qt
from PySide6.QtWidgets import QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout, QWidget

from engine.literal import unbroken
from engine.runs.examine import MEASURED
from gui.widgets.elided_label import PlainLabel
from gui.widgets.texts import label_and_name
from gui.widgets.theme import Theme
from gui.widgets.verdict_icon import LevelIcon, level_colour

if TYPE_CHECKING:
    from engine.assessment import Level
    from engine.defences.evidence.suspicion import Judgement, Verdict
    from engine.runs.examine import Examination

# A tick would say too much of a network in which nothing was found.
LEVELS: dict[Verdict, Level] = {"backdoor likely": "failed", "suspicious": "costly", "nothing found": "unknown"}
_ENLARGED = 1.5


class VerdictLabel(QWidget):
    """Shows an examination's verdict."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._theme = theme
        self._found: Examination | None = None
        self._names: Sequence[str] = ()
        self.icon = LevelIcon(theme, 30)
        self.verdict, self.sentence, self.limits, self.measured = (PlainLabel() for _ in range(4))
        self.toggle = QToolButton()
        self.toggle.setText("How often was it ri&ght?")
        self.toggle.setCheckable(True)
        self.toggle.setAutoRaise(True)
        self.toggle.toggled.connect(self.measured.setVisible)
        self.measured.hide()
        font = self.verdict.font()
        font.setPointSizeF(_ENLARGED * font.pointSizeF())
        font.setBold(True)
        self.verdict.setFont(font)
        words = QVBoxLayout()
        words.setSpacing(2)
        for label, name in ((self.verdict, "Verdict"), (self.sentence, "What the verdict rests on"),
                            (self.limits, "What an examination can't see"), (self.measured, "How often it was right")):
            label.setWordWrap(True)
            label.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)
            label.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)  # no word is too long
            label.setAccessibleName(name)
            words.addWidget(label)
        words.insertWidget(words.indexOf(self.measured), self.toggle, 0, Qt.AlignmentFlag.AlignLeft)
        row = QHBoxLayout(self)
        row.setContentsMargins(0, 0, 0, 0)
        row.setSpacing(10)
        row.addWidget(self.icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(words, 1)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        self.icon.set_theme(theme)
        for label in (self.limits, self.measured):
            label.setStyleSheet(f"color: {theme.muted}")
        self._render()

    def show_verdict(self, found: Examination) -> None:
        """Show an examination's verdict."""
        self._found = found
        self._render()

    def show_names(self, names: Sequence[str]) -> None:
        """Name labels: names[label]."""
        self._names = names
        self._render()

    def _render(self) -> None:
        if self._found is None:
            return
        judgement = self._found.judgement
        level = LEVELS[judgement.verdict] if judgement.decided else "unknown"
        self.icon.show_level(level, words=judgement.words.capitalize())
        self.verdict.setText(verdict_text(judgement, self._names))
        self.verdict.setStyleSheet("" if level == "unknown" else f"color: {level_colour(level, self._theme).name()}")
        self.sentence.setText(unbroken(judgement.sentence))
        told = MEASURED in self._found.limits  # an earlier version's figures stand among the others
        self.toggle.setVisible(told)
        self.measured.setText(MEASURED)
        self.measured.setVisible(told and self.toggle.isChecked())
        self.limits.setText(unbroken(" ".join(one for one in self._found.limits if one != MEASURED)))


def verdict_text(judgement: Judgement, names: Sequence[str]) -> str:
    """Such as "Backdoor likely: label 0 (Mina)"."""
    said, guilty = judgement.words.capitalize(), [label_and_name(label, names) for label in judgement.guilty]
    if not guilty:
        return said
    return f"{said}: label{'s' if len(guilty) > 1 else ''} {', '.join(guilty)}"
