"""The card of label names: what sub-folders stand for, or why that is a question, and the way to answer it."""

from __future__ import annotations

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QFrame, QHBoxLayout, QSizePolicy, QToolButton, QVBoxLayout

from gui.jobs.inputs.naming import Matching
from gui.widgets import resources
from gui.widgets.elided_label import PlainLabel
from gui.widgets.theme import Theme

_ICON = 16


class LabelsCard(QFrame):
    """Renders a Matching; hidden while labels are numbers. Signals: `edit_requested()`."""

    edit_requested = Signal()

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._problem = False
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self.setAutoFillBackground(True)
        self.setAccessibleName("Labels of sub-folders")
        self._sign, self._text = PlainLabel(), PlainLabel()
        title = PlainLabel("Which label is which")
        font = title.font()
        font.setBold(True)
        title.setFont(font)
        self._text.setObjectName("facts")
        self._text.setWordWrap(True)
        self._text.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.edit = QToolButton()
        self.edit.setText("Change…")
        self.edit.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.edit.setToolTip("Say which label of the network each sub-folder or text label stands for")
        self.edit.setAccessibleName("Change which label is which")
        self.edit.clicked.connect(self.edit_requested)
        row = QHBoxLayout()
        for widget in (self._sign, title):
            row.addWidget(widget)
        row.addStretch(1)
        row.addWidget(self.edit)
        column = QVBoxLayout(self)
        column.setContentsMargins(10, 6, 6, 8)
        column.setSpacing(4)
        column.addLayout(row)
        column.addWidget(self._text)
        self.set_theme(theme)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Draw icons and colours as the theme has them."""
        self._theme = theme
        colour = theme.danger if self._problem else theme.muted
        self._sign.setPixmap(resources.icon("error" if self._problem else "check", theme, colour).pixmap(_ICON, _ICON))
        self.setStyleSheet(f"LabelsCard {{ background: {theme.surface}; border: 1px solid {theme.border}; "
                           f"border-radius: 6px; }} QLabel#facts {{ color: {colour}; }}")

    def show_matching(self, matching: Matching | None) -> None:
        """Show what names stand for; None where there are none to ask about."""
        self.setVisible(matching is not None)
        if matching:
            self._problem = bool(matching.problem)
            self._text.setText(matching.problem or f"{matching.sentence} {matching_text(matching)}".rstrip())
            self.set_theme(self._theme)


def matching_text(matching: Matching) -> str:
    """The first labels and the last one, each with its name: "0 is cat, 1 is dog, …, 9 is frog."."""
    known = sorted((label, name) for name, label in matching.labels.items())
    if not matching.classes or not known:
        return ""
    first = [f"{label} is {name}" for label, name in known[:2]]
    last = [f"{known[-1][0]} is {known[-1][1]}"] if len(known) > 2 else []
    return f"{', '.join([*first, *(['…'] if len(known) > 3 else []), *last])}."
