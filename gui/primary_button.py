"""The button that a person most likely wants to press next."""

from __future__ import annotations

from PySide6.QtGui import QPalette
from PySide6.QtWidgets import QPushButton

from gui import resources
from gui.theme import Theme


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
        palette = QPalette()
        for group in (QPalette.ColorGroup.Active, QPalette.ColorGroup.Inactive):
            palette.setColor(group, QPalette.ColorRole.Button, theme.accent)
            palette.setColor(group, QPalette.ColorRole.ButtonText, theme.accent_text)
        palette.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.Button, theme.surface)
        palette.setColor(QPalette.ColorGroup.Disabled, QPalette.ColorRole.ButtonText, theme.muted)
        self.setPalette(palette)
