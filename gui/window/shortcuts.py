"""The list of all keys, made from the menus as they are, the one that fields have, and sight of what keys lead to."""

from __future__ import annotations

from html import escape

from PySide6.QtCore import QEvent, QObject, Qt
from PySide6.QtGui import QKeyEvent, QKeySequence
from PySide6.QtWidgets import (
    QAbstractSpinBox,
    QApplication,
    QDialog,
    QDialogButtonBox,
    QLineEdit,
    QMainWindow,
    QMenu,
    QScrollArea,
    QTextBrowser,
    QVBoxLayout,
    QWidget,
)

from gui.window.help_pages import bring_to_front

# Keys that belong to a view and stand in no menu.
_IN_VIEWS = {
    "In the curve": (("Move the cursor by a step", "Left, Right"), ("Move it by five steps", "Page Up, Page Down"),
                     ("Move it to the first or last step", "Home, End"), ("Zoom in, zoom out", "+, −"),
                     ("Show the whole curve", "0")),
    "In tables": (("Go to another row", "Up, Down"), ("Select several GoodNets", "Ctrl or Shift with Up, Down")),
}


class ShortcutList(QDialog):
    """A window of its own that leaves the main window usable."""

    def __init__(self, parent: QMainWindow) -> None:
        super().__init__(parent)
        self.setWindowTitle("Keyboard shortcuts")
        self.browser = QTextBrowser()
        self.browser.setAccessibleName("Keyboard shortcuts")
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addWidget(self.browser)
        layout.addWidget(buttons)
        self.resize(460, 620)

    def show_keys(self, menus: list[QMenu]) -> None:
        """List what these menus hold now, and the keys of the views."""
        parts = [_table(_plain(menu.title()), [
            (_plain(action.text()), action.shortcut().toString(QKeySequence.SequenceFormat.NativeText))
            for action in menu.actions() if not action.shortcut().isEmpty()]) for menu in menus]
        parts += [_table(where, list(keys)) for where, keys in _IN_VIEWS.items()]
        self.browser.setHtml("".join(parts))


class FieldEscape(QObject):
    """Esc takes back what is being typed in one of a window's fields; elsewhere it is a shortcut, which cancels."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        self._window = window
        _application().focusChanged.connect(self._watch)

    def _watch(self, before: QWidget | None, now: QWidget | None) -> None:
        """Look at the keys of the field that has the focus: fields come and go with the panels they are in."""
        if before is not None:
            before.removeEventFilter(self)
        if isinstance(now, QLineEdit | QAbstractSpinBox) and now.window() is self._window:
            now.installEventFilter(self)

    def eventFilter(self, watched: QObject, event: QEvent) -> bool:
        """Take the key before it becomes a shortcut, as long as there is something to take back."""
        kinds = QEvent.Type.ShortcutOverride, QEvent.Type.KeyPress
        if event.type() in kinds and isinstance(event, QKeyEvent) and event.key() == Qt.Key.Key_Escape:
            field = watched if isinstance(watched, QLineEdit) else watched.findChild(QLineEdit)
            if field is not None and field.isUndoAvailable():
                event.accept()
                while event.type() == QEvent.Type.KeyPress and field.isUndoAvailable():
                    field.undo()
                return True
        return super().eventFilter(watched, event)


class FocusInSight(QObject):
    """What gets the focus by a key is brought into view, whatever it scrolls in; Qt sees to that for Tab alone."""

    def __init__(self, window: QMainWindow) -> None:
        super().__init__(window)
        _application().focusChanged.connect(self._show)

    def _show(self, before: QWidget | None, now: QWidget | None) -> None:
        if before is None or now is None or QApplication.mouseButtons():
            return  # another program's window was left, or what is clicked would move away below the pointer
        around = now.parentWidget()
        while around is not None:
            if isinstance(around, QScrollArea):
                around.ensureWidgetVisible(now)
            around = around.parentWidget()


def show_shortcuts(window: QMainWindow) -> None:
    """Open the list, or bring the open one to the front."""
    shown = window.findChild(ShortcutList) or ShortcutList(window)
    shown.show_keys(window.menuBar().findChildren(QMenu))
    bring_to_front(shown)


def _application() -> QApplication:
    application = QApplication.instance()
    assert isinstance(application, QApplication)
    return application


def _plain(text: str) -> str:
    """A menu's text as a person reads it."""
    return text.replace("&&", "\0").replace("&", "").replace("\0", "&").rstrip("…")


def _table(title: str, keys: list[tuple[str, str]]) -> str:
    rows = "".join(f"<tr><td width='240'>{escape(what)}</td><td>{escape(key)}</td></tr>" for what, key in keys)
    return f"<h3>{escape(title)}</h3><table cellpadding='2'>{rows}</table>" if rows else ""
