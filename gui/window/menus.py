"""The menus: what a person can do, each with a mnemonic and most with a shortcut."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import get_args

from PySide6.QtCore import QObject, Signal
from PySide6.QtGui import QAction, QActionGroup, QKeySequence
from PySide6.QtWidgets import QMainWindow, QMenu

from engine.records.autosave import KeptRun
from gui.settings import ThemeChoice
from gui.widgets import resources
from gui.widgets.theme import Theme

_THEMES: dict[ThemeChoice, str] = {"system": "&System theme", "light": "&Light theme", "dark": "&Dark theme"}
_ROLES = (("validation", "Clean &validation images…"), ("test", "Clean &test images…"),
          ("poisoned", "&Poisoned images…"))


class Actions(QObject):
    """All menus of a window. Each signal is a wish; nothing is done here."""

    open_model = Signal()
    open_data = Signal(str, bool)  # role, folder
    open_sample = Signal()
    open_path = Signal(object)  # Path, from the recent files
    clear_recent = Signal()
    open_goodnet = Signal(bool)  # folder
    open_run = Signal()
    reopen_run = Signal(object)  # Path of a run that was kept
    open_pictures = Signal()
    paste = Signal()
    save_selected = Signal()
    save_run = Signal()
    run = Signal()
    cancel = Signal()
    scan = Signal()
    compare = Signal()
    repair = Signal()
    theme_chosen = Signal(str)
    tab_chosen = Signal(int)
    help_page = Signal(str)
    open_log = Signal()
    about = Signal()

    def __init__(self, window: QMainWindow, tabs: Sequence[str]) -> None:
        super().__init__(window)
        self._window = window
        self._icons: dict[QAction, str] = {}
        self._themes: dict[str, QAction] = {}
        self._file_menu(window.menuBar().addMenu("&File"))
        self._run_menu(window.menuBar().addMenu("&Run"))
        self._view_menu(window.menuBar().addMenu("&View"), tabs)
        self._help_menu(window.menuBar().addMenu("&Help"))

    def set_theme(self, choice: ThemeChoice, theme: Theme) -> None:
        """Tick the chosen theme and draw icons as it has them."""
        self._themes[choice].setChecked(True)
        for action, icon in self._icons.items():
            action.setIcon(resources.icon(icon, theme))

    def show_recent(self, paths: Sequence[Path]) -> None:
        """Fill the menu of recent files."""
        self._recent.clear()
        self._recent.setEnabled(bool(paths))
        for number, path in enumerate(paths):
            mnemonic = f"&{number + 1} " if number < 9 else ""
            action = self._recent.addAction(mnemonic + str(path).replace("&", "&&"))
            action.triggered.connect(lambda _=False, path=path: self.open_path.emit(path))
        self._recent.addSeparator()
        self._recent.addAction("&Clear this list", self.clear_recent.emit)

    def show_kept(self, runs: Sequence[KeptRun]) -> None:
        """Fill the menu of runs that were kept."""
        self._kept.clear()
        self._kept.setEnabled(bool(runs))
        for number, run in enumerate(runs):
            mnemonic = f"&{number + 1} " if number < 9 else ""
            name = run.model.replace("&", "&&")
            action = self._kept.addAction(f"{mnemonic}{run.kept_at:%Y-%m-%d %H:%M}  {name}, {run.images:,} images")
            action.triggered.connect(lambda _=False, folder=run.folder: self.reopen_run.emit(folder))

    def show_state(self, *, can_run: bool, busy: bool, has_run: bool, can_scan: bool) -> None:
        """Enable what makes sense now."""
        self.run_action.setEnabled(can_run)
        self.cancel_action.setEnabled(busy)
        self.scan_action.setEnabled(can_scan and not busy)
        for action in (self.save_run_action, self.save_selected_action, self.compare_action, self.repair_action):
            action.setEnabled(has_run and not busy)

    def _file_menu(self, menu: QMenu) -> None:
        add = self._add
        add(menu, "Open &model…", self.open_model.emit, "Ctrl+O", "model")
        data = menu.addMenu("Open &data")
        for number, (role, text) in enumerate(_ROLES, start=1):
            add(data, text, lambda role=role: self.open_data.emit(role, False), f"Ctrl+Shift+{number}", "images")
        folders = data.addMenu("&Folder of pictures")
        for role, text in _ROLES:
            add(folders, text, lambda role=role: self.open_data.emit(role, True))
        add(menu, "Open &sample", self.open_sample.emit, "Ctrl+Shift+O", "sample")
        self._recent = menu.addMenu("Open &recent")
        add(menu, "Open r&un…", self.open_run.emit, "Ctrl+R")
        self._kept = menu.addMenu("Earl&ier runs")
        self._kept.setEnabled(False)
        menu.addSeparator()
        add(menu, "Open &GoodNet…", lambda: self.open_goodnet.emit(True), "Ctrl+G", "goodnet")
        add(menu, "Open G&oodNet files…", lambda: self.open_goodnet.emit(False), "Ctrl+Shift+G")
        add(menu, "&Check pictures…", self.open_pictures.emit, "Ctrl+P", "check")
        add(menu, "Check &pasted picture", self.paste.emit, "Ctrl+V", "paste")
        menu.addSeparator()
        self.save_run_action = add(menu, "Sa&ve all…", self.save_run.emit, "Ctrl+S", "save")
        self.save_selected_action = add(menu, "Save s&elected GoodNets…", self.save_selected.emit, "Ctrl+Shift+S")
        menu.addSeparator()
        close = add(menu, "&Quit", self._window.close, "Ctrl+Q")
        close.setMenuRole(QAction.MenuRole.QuitRole)

    def _run_menu(self, menu: QMenu) -> None:
        self.run_action = self._add(menu, "&Run", self.run.emit, "F5", "play")
        self.cancel_action = self._add(menu, "&Cancel", self.cancel.emit, "Esc", "stop")
        menu.addSeparator()
        self.scan_action = self._add(menu, "&Scan for suspects", self.scan.emit, "F6", "look")
        self.compare_action = self._add(menu, "Compare all &defences", self.compare.emit, "F7", "table")
        self.repair_action = self._add(menu, "R&epair…", self.repair.emit, "F8")

    def _view_menu(self, menu: QMenu, tabs: Sequence[str]) -> None:
        for index, name in enumerate(tabs):
            self._add(menu, f"&{index + 1} {name}", lambda index=index: self.tab_chosen.emit(index),
                      f"Ctrl+{index + 1}")
        menu.addSeparator()
        group = QActionGroup(self)
        for choice in get_args(ThemeChoice):
            action = self._add(menu, _THEMES[choice], lambda choice=choice: self.theme_chosen.emit(choice))
            action.setCheckable(True)
            group.addAction(action)
            self._themes[choice] = action

    def _help_menu(self, menu: QMenu) -> None:
        self._add(menu, "&Guide", lambda: self.help_page.emit("guide"), "F1", "guide")
        self._add(menu, "How &pruning works", lambda: self.help_page.emit("pruning"), "Shift+F1", "help")
        menu.addSeparator()
        self._add(menu, "Open &log", self.open_log.emit)
        about = self._add(menu, "&About GoodNet", self.about.emit, icon="info")
        about.setMenuRole(QAction.MenuRole.AboutRole)

    def _add(self, menu: QMenu, text: str, do: Callable[[], object], keys: str = "", icon: str = "") -> QAction:
        action = menu.addAction(text)
        action.triggered.connect(lambda _=False: do())
        if keys:
            action.setShortcut(QKeySequence(keys))
        if icon:
            self._icons[action] = icon
        return action
