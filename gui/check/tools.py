"""The two rows above the table: which GoodNet checks, where pictures come from, what to do with the verdicts."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QComboBox, QHBoxLayout, QToolButton, QVBoxLayout, QWidget

from gui.widgets.asking import PICTURE_FILES, ask_files, ask_folder
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.resources import icon
from gui.widgets.theme import Theme


class CheckTools(QWidget):
    """Buttons and a filter. Each signal is a wish.

    Signals:
        pictures_chosen: list[Path], pictures and folders to check.
        filtered: bool, whether only flagged pictures are to be shown.
    """

    open_goodnet_requested = Signal()
    names_requested = Signal()
    pictures_chosen = Signal(object)
    paste_requested = Signal()
    save_requested = Signal()
    clear_requested = Signal()
    filtered = Signal(bool)

    def __init__(self) -> None:
        super().__init__()
        self._buttons: dict[str, QToolButton] = {}
        self.source = ElidedLabel(lines=2)
        self.filter = QComboBox()
        self.filter.setToolTip("Show all pictures, or only those that the GoodNet calls backdoored (N)")
        self.filter.setAccessibleName("Which verdicts to show")
        self.filter.addItems(["All pictures", "Only flagged"])
        self.filter.currentIndexChanged.connect(lambda index: self.filtered.emit(index == 1))
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.addLayout(self._goodnet_row())
        column.addLayout(self._picture_row())

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        for name, button in self._buttons.items():
            button.setIcon(icon(name, theme))

    def enable(self, *, ready: bool, busy: bool, verdicts: bool) -> None:
        """Enable what can be done now.

        Args:
            ready: pictures can be checked. busy: something runs. verdicts: there are some.
        """
        for names, on in ((("images", "folder", "paste"), ready), (("open", "tag"), not busy),
                          (("save", "clear"), verdicts)):
            for name in names:
                self._buttons[name].setEnabled(on)
        self.filter.setEnabled(verdicts)

    def _goodnet_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self.source, 1)
        row.addWidget(self._button("open", "Open &GoodNet…", "Use a GoodNet that was saved before, without running "
                                   "anything", self.open_goodnet_requested.emit))
        row.addWidget(self._button("tag", "La&bel names…", "A text file with one name a line: the first is label 0's",
                                   self.names_requested.emit))
        return row

    def _picture_row(self) -> QHBoxLayout:
        row = QHBoxLayout()
        row.addWidget(self._button("images", "P&ictures…", "Choose picture files to check", self._choose_pictures))
        row.addWidget(self._button("folder", "Fol&der…", "Choose a folder; all pictures in it and its sub-folders "
                                   "are checked", self._choose_folder))
        row.addWidget(self._button("paste", "Pas&te", "Check the picture or the files on the clipboard",
                                   self.paste_requested.emit))
        row.addStretch(1)
        row.addWidget(self.filter)
        row.addWidget(self._button("save", "Save &as CSV…", "Save the rows that the table shows",
                                   self.save_requested.emit))
        row.addWidget(self._button("clear", "Clear", "Empty the table; no file is touched",
                                   self.clear_requested.emit))
        return row

    def _button(self, name: str, text: str, tip: str, do: Callable[[], object]) -> QToolButton:
        button = QToolButton()
        button.setText(text)
        button.setToolTip(tip)
        button.setToolButtonStyle(Qt.ToolButtonStyle.ToolButtonTextBesideIcon)
        button.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        button.clicked.connect(lambda: do())
        self._buttons[name] = button
        return button

    def _choose_pictures(self) -> None:
        files = ask_files(self, "Pictures to check", PICTURE_FILES)
        if files:
            self.pictures_chosen.emit(files)

    def _choose_folder(self) -> None:
        folder = ask_folder(self, "Folder of pictures to check")
        if folder:
            self.pictures_chosen.emit([folder])
