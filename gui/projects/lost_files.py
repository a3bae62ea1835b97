"""Files of a project that moved or changed, each by name, with the way to point to it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from PySide6.QtCore import QSize, Qt, Signal
from PySide6.QtWidgets import QDialog, QDialogButtonBox, QFrame, QHBoxLayout, QPushButton, QVBoxLayout, QWidget

from engine.records.project import Looked
from gui.session.chosen import DATA_ROLES, ROLE_NAMES
from gui.widgets import resources
from gui.widgets.elided_label import ElidedLabel, PlainLabel
from gui.widgets.theme import Theme

_WIDTH = 640
_ORDER = "Pruning order"
_WORDS = {"missing": "Isn't there any more: it was moved, renamed or removed.",
          "changed": "Isn't what it was when the project was saved.",
          "remote": "Lies on another computer, from which nothing is read unasked."}


class LostFiles(QDialog):
    """Signals: `find_requested(Looked, bool)` with whether it is a folder now, `accept_requested(Looked)`; it closes
    when nothing is lost any more."""

    find_requested = Signal(object, bool)
    accept_requested = Signal(object)

    def __init__(self, parent: QWidget) -> None:
        super().__init__(parent)
        self.setWindowTitle("Some files of the project moved or changed")
        self.setMinimumWidth(_WIDTH)
        self.cards: list[LostCard] = []
        self._list = QVBoxLayout()
        close = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        close.rejected.connect(self.reject)
        column = QVBoxLayout(self)
        column.addLayout(self._list)
        column.addStretch(1)
        column.addWidget(close)

    def show_lost(self, lost: Sequence[Looked], theme: Theme) -> None:
        """Show what is lost now; nothing closes the dialog."""
        for card in self.cards:
            card.hide()
            card.deleteLater()
        self.cards = [LostCard(looked, theme) for looked in lost]
        for card in self.cards:
            for button, folder in ((card.find_button, False), (card.folder_button, True)):
                button.clicked.connect(partial(self.find_requested.emit, card.looked, folder))
            card.use_button.clicked.connect(lambda _=False, looked=card.looked: self.accept_requested.emit(looked))
            self._list.addWidget(card)
        if lost:
            self.open()
        else:
            self.accept()


class LostCard(QFrame):
    """One file: its role, where it was, what is the matter, and what can be done."""

    def __init__(self, looked: Looked, theme: Theme) -> None:
        super().__init__()
        self.looked = looked
        self.setFrameShape(QFrame.Shape.StyledPanel)
        name, path, words = PlainLabel(), ElidedLabel(), PlainLabel()
        for label in (name, words):
            label.setWordWrap(True)
        role = _ORDER if looked.file.role == "order" else ROLE_NAMES[looked.file.role]
        name.setText(f"{role}: {looked.file.path.name}")
        font = name.font()
        font.setBold(True)
        name.setFont(font)
        path.show_text(str(looked.file.path))
        words.setText(_WORDS[looked.state])
        icon = PlainLabel()
        icon.setPixmap(resources.icon("warning", theme, theme.warning).pixmap(QSize(20, 20)))
        self.find_button, self.use_button = QPushButton("&Find the file…"), QPushButton("&Use it as it is")
        self.folder_button = QPushButton("Find the f&older…")  # what is lost doesn't say which of them it was
        self.find_button.setAccessibleName(f"Find the file {looked.file.path.name}")
        self.folder_button.setAccessibleName(f"Find the folder {looked.file.path.name}")
        self.use_button.setAccessibleName(f"Use {looked.file.path.name} as it is")
        text = QVBoxLayout()
        for label in (name, path, words):
            text.addWidget(label)
        row = QHBoxLayout(self)
        row.addWidget(icon, 0, Qt.AlignmentFlag.AlignTop)
        row.addLayout(text, 1)
        for button in (self.use_button, self.find_button, self.folder_button):
            button.setAutoDefault(False)
            row.addWidget(button, 0, Qt.AlignmentFlag.AlignVCenter)
        self.use_button.setVisible(looked.state == "changed")
        self.folder_button.setVisible(looked.file.role in DATA_ROLES)
