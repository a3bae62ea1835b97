"""Buttons: any, and the one that a person most likely wants to press next."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import SignalInstance
from PySide6.QtWidgets import QPushButton

from gui.widgets import resources
from gui.widgets.theme import Theme

# A style sheet, because Fusion lightens a palette's button colour until white on it can't be read.
_STYLE = """
QPushButton {{ background: {0.accent}; color: {0.accent_text}; border: 2px solid {0.accent}; border-radius: 4px;
               padding: 3px 12px; }}
QPushButton:hover, QPushButton:focus {{ border-color: {0.text}; }}
QPushButton:pressed {{ background: {0.text}; color: {0.surface}; }}
QPushButton:disabled {{ background: {0.surface}; color: {0.muted}; border: 2px solid {0.border}; }}
"""


def push_button(text: str, tooltip: str, clicked: Callable[..., object] | SignalInstance) -> QPushButton:
    """A button that tells what it does, and does it."""
    button = QPushButton(text)
    button.setToolTip(tooltip)
    button.clicked.connect(clicked)
    return button


class PrimaryButton(QPushButton):
    """A push button in the theme's accent colour."""

    def __init__(self, text: str, icon: str, theme: Theme) -> None:
        super().__init__(text)
        self._icon = icon
        self.setMinimumHeight(34)
        self.set_theme(theme)

    def set_theme(self, theme: Theme) -> None:
        """Take the theme's accent colour; a disabled button looks like any other."""
        self.setIcon(resources.icon(self._icon, theme, theme.accent_text))
        self.setStyleSheet(_STYLE.format(theme))
