"""Colours of the light and the dark theme, and what Fusion draws amiss.

Every text colour has at least 4.5 to 1 against its ground.
"""

from __future__ import annotations

from dataclasses import dataclass

from PySide6.QtCore import QEvent, Qt
from PySide6.QtGui import QColor, QGuiApplication, QPainter, QPalette, QPen
from PySide6.QtWidgets import QAbstractButton, QApplication, QFrame, QScrollArea, QWidget

from engine.reports.figures.palette import PRINT
from gui.settings import ThemeChoice

# Pixels, of the line around what has the focus.
_RING = 2


@dataclass(frozen=True)
class Theme:
    """One theme's colours by their job, as #rrggbb."""

    name: str
    window: str
    surface: str
    text: str
    muted: str
    border: str
    accent: str
    accent_text: str
    clean: str
    attack: tuple[str, ...]
    good: str
    warning: str
    danger: str


LIGHT = Theme(
    "light", window="#f4f5f7", surface=PRINT.ground, text=PRINT.text, muted=PRINT.muted, border=PRINT.grid,
    accent="#0b5cad", accent_text="#ffffff", clean=PRINT.clean, attack=PRINT.attack,
    good="#116329", warning="#7d4e00", danger="#b3261e")
DARK = Theme(
    "dark", window="#1c1f24", surface="#24282f", text="#e8eaed", muted="#a8b0ba", border="#3d444d",
    accent="#6cb2ff", accent_text="#0d1117", clean="#56b4e9", attack=("#ff8c4b", "#e69ac6", "#f0b429", "#8fd3ff"),
    good="#6fd08c", warning="#f0b429", danger="#ff8a80")


def resolve(choice: ThemeChoice) -> Theme:
    """The theme a choice stands for; "system" asks the desktop."""
    if choice == "system":
        dark = QGuiApplication.styleHints().colorScheme() == Qt.ColorScheme.Dark
        return DARK if dark else LIGHT
    return DARK if choice == "dark" else LIGHT


def outline(button: QAbstractButton, theme: Theme) -> None:
    """Have a tick box or a round button seen on its ground: Fusion draws its outline from the window's colour."""
    palette = button.palette()
    palette.setColor(QPalette.ColorRole.Window, QColor(theme.muted))
    button.setPalette(palette)


class ScrollArea(QScrollArea):
    """What lies behind it is seen behind what is in it; a stop of the Tab key, and then ringed, only where it scrolls.

    Args:
        name: what it holds, for assistive technology.
    """

    def __init__(self, name: str, inside: QWidget) -> None:
        super().__init__(widgetResizable=True)
        self.setFrameShape(QFrame.Shape.NoFrame)
        self.setFocusPolicy(Qt.FocusPolicy.NoFocus)
        self.setAccessibleName(name)
        self.setViewportMargins(_RING, _RING, _RING, _RING)
        self.setWidget(inside)
        for ground in (inside, self.viewport()):  # a tab's pane has a colour of its own
            ground.setAutoFillBackground(False)
        for bar in (self.horizontalScrollBar(), self.verticalScrollBar()):
            bar.rangeChanged.connect(self._allow_focus)

    def event(self, event: QEvent) -> bool:
        """Draw the ring."""
        done = super().event(event)
        if event.type() == QEvent.Type.Paint and self.hasFocus() and self.focusPolicy() != Qt.FocusPolicy.NoFocus:
            painter = QPainter(self)
            painter.setPen(QPen(self.palette().highlight(), _RING, j=Qt.PenJoinStyle.MiterJoin))
            painter.drawRect(self.viewport().geometry().adjusted(-1, -1, 1, 1))
            painter.end()
        return done

    def _allow_focus(self) -> None:
        scrolls = self.horizontalScrollBar().maximum() > 0 or self.verticalScrollBar().maximum() > 0
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus if scrolls else Qt.FocusPolicy.NoFocus)


def apply(theme: Theme) -> None:
    """Give the whole application a theme's palette, on the Fusion style that honours it everywhere."""
    if QApplication.style().name() != "fusion":
        QApplication.setStyle("Fusion")
    palette = QPalette()
    role = QPalette.ColorRole
    for which, colour in (
        (role.Window, theme.window), (role.WindowText, theme.text), (role.Base, theme.surface),
        (role.AlternateBase, theme.window), (role.Text, theme.text), (role.Button, theme.surface),
        (role.ButtonText, theme.text), (role.BrightText, theme.danger), (role.ToolTipBase, theme.surface),
        (role.ToolTipText, theme.text), (role.Highlight, theme.accent), (role.HighlightedText, theme.accent_text),
        (role.Link, theme.accent), (role.LinkVisited, theme.accent), (role.PlaceholderText, theme.muted),
        (role.Light, theme.surface), (role.Midlight, theme.border), (role.Mid, theme.border),
        (role.Dark, theme.border), (role.Shadow, theme.border),
    ):
        palette.setColor(which, QColor(colour))
    for which in (role.WindowText, role.Text, role.ButtonText):
        palette.setColor(QPalette.ColorGroup.Disabled, which, QColor(theme.muted))
    QApplication.setPalette(palette)
