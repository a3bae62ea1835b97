"""A matplotlib figure on screen, in the window's colours.

Importing this module loads matplotlib.
"""

from __future__ import annotations

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from PySide6.QtCore import QSize

from engine.reports.curve_figure import Palette
from gui.widgets.theme import Theme


class FigureCanvas(FigureCanvasQTAgg):
    """An empty figure for its subclass to draw; `colours` are the theme's."""

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__(Figure())
        self.colours = palette_of(theme)
        self.setMinimumSize(QSize(280, 160))
        self.setAccessibleName(name)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self.colours = palette_of(theme)
        self.draw_idle()


def palette_of(theme: Theme) -> Palette:
    """A theme's colours for a figure."""
    return Palette(theme.surface, theme.text, theme.muted, theme.border, theme.clean, theme.attack)
