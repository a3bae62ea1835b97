"""The window's colours for figures."""

from __future__ import annotations

from engine.reports.curve_figure import Palette
from gui.widgets.theme import Theme


def palette_of(theme: Theme) -> Palette:
    """A theme's colours for the figure."""
    return Palette(theme.surface, theme.text, theme.muted, theme.border, theme.clean, theme.attack)
