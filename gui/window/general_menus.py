"""What the window itself can do: go to a tab, change its theme, help, quit."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import get_args

import PySide6
from PySide6.QtGui import QAction, QActionGroup

from engine import VERSION, backend
from gui import log
from gui.frame.desk import Desk
from gui.settings import ThemeChoice
from gui.widgets.message_bar import open_in_desktop
from gui.window import help_pages
from gui.window.shortcuts import show_shortcuts

_THEMES: dict[ThemeChoice, str] = {"system": "&System theme", "light": "&Light theme", "dark": "&Dark theme"}


def add_general_menus(desk: Desk, set_theme: Callable[[ThemeChoice], None]) -> None:
    """Add them, once all tabs are there.

    Args:
        set_theme: called with the theme that a person chose.
    """
    add, tabs = desk.menus.add, desk.tabs
    add("quit", "&Quit", desk.window.close, "Ctrl+Q").setMenuRole(QAction.MenuRole.QuitRole)
    for index in range(tabs.count()):
        add("tabs", f"&{index + 1} {tabs.tabText(index)}", partial(desk.bring_up_tab, index),
            f"Ctrl+{index + 1}")
    themes = QActionGroup(desk.menus)
    for choice in get_args(ThemeChoice):
        action = add("themes", _THEMES[choice], partial(set_theme, choice))
        action.setCheckable(True)
        action.setChecked(choice == desk.settings.theme)
        themes.addAction(action)
    for name, text, keys, icon in (("guide", "&Guide", "F1", "guide"),
                                   ("pruning", "How &pruning works", "Shift+F1", "help")):
        add("guides", text, partial(_show_page, desk, name), keys, icon)
    add("guides", "&Keyboard shortcuts", lambda: show_shortcuts(desk.window), "Ctrl+F1")
    add("about", "Open &log", lambda: open_in_desktop(log.log_path()))
    add("about", "&About GoodNet", lambda: help_pages.show_about(desk.window, versions()),
        icon="info").setMenuRole(QAction.MenuRole.AboutRole)


def _show_page(desk: Desk, name: str) -> None:
    help_pages.show_page(name, desk.theme, desk.window)


def versions() -> dict[str, str]:
    """What the program consists of, for the About box and for reports."""
    found = backend.versions()
    return {"GoodNet": VERSION, "Python": found["python"], "System": found["platform"],
            "TensorFlow": found["tensorflow"], "Keras": found["keras"], "PySide6": PySide6.__version__,
            "NumPy": found["numpy"], "h5py": found["h5py"]}
