"""The menus: a skeleton of places into which each wing puts what a person can do there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

from PySide6.QtCore import QObject
from PySide6.QtGui import QAction, QKeySequence
from PySide6.QtWidgets import QMenu, QMenuBar

from gui.widgets import resources
from gui.widgets.theme import Theme

Place = Literal[
    "project", "open", "check", "save", "quit", "undo", "examine", "run", "defend", "tabs", "themes", "guides", "about"]
_MENUS: dict[str, tuple[Place, ...]] = {
    "&File": ("project", "open", "check", "save", "quit"),
    "&Edit": ("undo",),
    "&Run": ("examine", "run", "defend"),
    "&View": ("tabs", "themes"),
    "&Help": ("guides", "about"),
}


class Menus(QObject):
    """A window's menus. Every action has a mnemonic and most have a shortcut; nothing is done here."""

    def __init__(self, bar: QMenuBar) -> None:
        super().__init__(bar)
        self._icons: dict[QAction, str] = {}
        self._enabled: dict[QAction, Callable[[], bool]] = {}
        self._ends: dict[Place, tuple[QMenu, QAction]] = {}
        for title, places in _MENUS.items():
            menu = bar.addMenu(title)
            for place in places:
                self._ends[place] = menu, menu.addSeparator()  # Qt hides those with nothing before or behind them
        assert set(self._ends) == set(get_args(Place))

    def add(self, place: Place | QMenu, text: str, do: Callable[[], object], keys: str = "", icon: str = "",
            enabled: Callable[[], bool] | None = None) -> QAction:
        """Put an action at the end of a place or of a submenu.

        Args:
            do: called when a person chooses it.
            enabled: whether it can be done now; always, if None.
        """
        action = QAction(text, self)
        if isinstance(place, QMenu):
            place.addAction(action)
        else:
            self._insert(place, action)
        action.triggered.connect(lambda _=False: do())
        if keys:
            action.setShortcut(QKeySequence(keys))
        if icon:
            self._icons[action] = icon
        if enabled:
            self._enabled[action] = enabled
        return action

    def add_menu(self, place: Place | QMenu, text: str) -> QMenu:
        """Put a submenu at the end of a place or of another submenu."""
        if isinstance(place, QMenu):
            return place.addMenu(text)
        menu = QMenu(text, self._ends[place][0])
        self._insert(place, menu.menuAction())
        return menu

    def refresh(self) -> None:
        """Enable what can be done now."""
        for action, enabled in self._enabled.items():
            action.setEnabled(enabled())

    def set_theme(self, theme: Theme) -> None:
        """Draw icons as a theme has them."""
        for action, icon in self._icons.items():
            action.setIcon(resources.icon(icon, theme))

    def find(self, text: str) -> QAction:
        """The action or submenu that a person reads as `text`, dots left out."""
        return next(action for menu in {menu for menu, _ in self._ends.values()} for action in menu.actions()
                    if action.text().replace("&", "").rstrip("…") == text)

    def _insert(self, place: Place, action: QAction) -> None:
        menu, end = self._ends[place]
        menu.insertAction(end, action)
