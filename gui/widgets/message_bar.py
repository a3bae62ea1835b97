"""The status bar: the last message, with what can be done about it, and the device."""

from __future__ import annotations

from pathlib import Path

from PySide6.QtCore import QSize, QUrl, Signal
from PySide6.QtGui import QDesktopServices
from PySide6.QtWidgets import QFrame, QHBoxLayout, QPushButton, QStatusBar, QToolButton, QWidget

from gui.messages import Action, Message
from gui.widgets import resources
from gui.widgets.elided_label import ElidedLabel, PlainLabel
from gui.widgets.theme import Theme


class ActionButton(QPushButton):
    """Does what a message offers, once; hidden while it offers nothing. Signal: `taken()`, just before it is done."""

    taken = Signal()

    def __init__(self) -> None:
        super().__init__()
        self.offered: Action | None = None
        self.clicked.connect(self._do)
        self.hide()

    def show_action(self, action: Action | None) -> None:
        """Offer something else, or nothing."""
        self.offered = action
        self.setText(action.text if action else "")
        self.setVisible(action is not None)

    def _do(self) -> None:
        action = self.offered
        self.show_action(None)
        if action:
            self.taken.emit()
            action.do()


class StatusBar(QStatusBar):
    """Short news on one line, or the message bar in its place; the device TensorFlow computes on at the right.

    It is always as high as the message bar needs, so that nothing under the pointer moves when a message comes.
    """

    def __init__(self, bar: MessageBar) -> None:
        super().__init__()
        self.text = ElidedLabel()
        self.action = ActionButton()
        self.device = PlainLabel()
        self.device.setToolTip("What TensorFlow computes on, found out when the first file is chosen")
        news = QWidget()
        news.setFixedHeight(bar.sizeHint().height())
        row = QHBoxLayout(news)
        row.setContentsMargins(6, 0, 0, 0)
        row.addWidget(self.text, 1)
        row.addWidget(bar, 1)
        row.addWidget(self.action)
        self.addWidget(news, 1)
        self.addPermanentWidget(self.device)

    def show_message(self, message: Message) -> None:
        """Show a message, with a button where something can be done about it."""
        self.text.show_text(message.text)
        self.text.setVisible(bool(message.text))
        self.action.show_action(message.action)

    def show_device(self, device: str) -> None:
        """Say what TensorFlow computes on."""
        self.device.setText(f"Computes on: {device}")


class MessageBar(QFrame):
    """A message that deserves more than a line: an error, or where something was saved."""

    def __init__(self, theme: Theme) -> None:
        super().__init__()
        self._message = Message("")
        self.setFrameShape(QFrame.Shape.StyledPanel)
        self._icon, self.text = PlainLabel(), ElidedLabel(lines=2)
        self.open_folder = QPushButton("O&pen folder")
        self.open_folder.clicked.connect(self._open)
        self.action = ActionButton()
        self.action.taken.connect(self.hide)
        self.dismiss = QToolButton()
        self.dismiss.setAutoRaise(True)
        self.dismiss.setAccessibleName("Dismiss the message")
        self.dismiss.setToolTip("Dismiss the message")
        self.dismiss.clicked.connect(self.hide)
        row = QHBoxLayout(self)
        row.setContentsMargins(8, 2, 4, 2)
        row.addWidget(self._icon)
        row.addWidget(self.text, 1)
        row.addWidget(self.action)
        row.addWidget(self.open_folder)
        row.addWidget(self.dismiss)
        self.set_theme(theme)
        self.hide()

    def set_theme(self, theme: Theme) -> None:
        """Draw icon and frame as the theme has them."""
        self._theme = theme
        error = self._message.kind == "error"
        colour = theme.danger if error else theme.good
        self._icon.setPixmap(resources.icon("error" if error else "ok", theme, colour).pixmap(QSize(20, 20)))
        self.dismiss.setIcon(resources.icon("close", theme))
        self.setStyleSheet(f"MessageBar {{ background: {theme.surface}; border: 1px solid {colour}; "
                           "border-radius: 6px; }")

    def show_message(self, message: Message) -> None:
        """Show a message until it is dismissed or another one comes."""
        self._message = message
        self.text.show_text(message.text)
        self.text.setAccessibleName(("Error: " if message.kind == "error" else "") + message.text)
        self.open_folder.setVisible(message.folder is not None)
        self.action.show_action(message.action)
        self.set_theme(self._theme)
        self.show()

    def _open(self) -> None:
        if self._message.folder:
            open_in_desktop(self._message.folder)


def open_in_desktop(path: Path) -> None:
    """Show a file or folder with the desktop's own program."""
    QDesktopServices.openUrl(QUrl.fromLocalFile(str(path)))
