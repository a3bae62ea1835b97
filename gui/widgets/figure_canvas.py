"""A matplotlib figure on screen, in the window's colours.

Importing this module loads matplotlib.
"""

from __future__ import annotations

from typing import Any

from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from PySide6.QtCore import QSize
from PySide6.QtGui import QPaintEvent

from engine.reports.figures.palette import Palette
from gui.widgets.theme import Theme
from gui.widgets.turns import in_turns


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


class RemadeCanvas(FigureCanvas):
    """A figure that is made anew when its content, its size or its colours change, because its layout depends on them.

    It is painted as it is, with all that is beside it, then made anew in one turn of the event loop and drawn in the
    next, because any two of these together take too long for one.
    """

    def __init__(self, theme: Theme, name: str) -> None:
        super().__init__(theme, name)
        self._content: object = None
        self._made: tuple[object, ...] = ()
        self._due = False

    def show_content(self, content: object) -> None:
        """Show something else; None shows an empty figure. What is on show already isn't drawn anew, as when the same
        run is brought back."""
        if content != self._content:
            self._content = content
            self.draw_idle()

    def make(self, content: Any) -> None:
        """Draw the content into the empty figure."""
        raise NotImplementedError

    def draw_idle(self) -> None:
        """Make or draw what changed as soon as what is seen has been painted."""
        self._due = True
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Paint what was drawn last."""
        super().paintEvent(event)
        if self._due:
            self._due = False
            in_turns(self, self.draw)

    def draw(self) -> None:
        """Draw everything, or make what is to be drawn."""
        wanted = (self._content, self.colours, self.size())
        if wanted == self._made:
            super().draw()
            return
        self._made = wanted
        self.figure.clear()
        if self._content is not None:
            self.make(self._content)
        self.draw_idle()


def palette_of(theme: Theme) -> Palette:
    """A theme's colours for a figure."""
    return Palette(theme.surface, theme.text, theme.muted, theme.border, theme.clean, theme.attack)
