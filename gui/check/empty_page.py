"""What stands in the table's place while it is empty: what to do next, and buttons that do it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from PySide6.QtCore import Qt, Signal
from PySide6.QtWidgets import QPushButton, QVBoxLayout, QWidget

from gui.widgets.elided_label import PlainLabel
from gui.widgets.resources import icon
from gui.widgets.texts import waiting
from gui.widgets.theme import Theme

NO_GOODNET = ("To check pictures you need a GoodNet: run the pruning and press “Use in image check” in the GoodNets "
              "tab, or open one that was saved before.")
NO_PICTURES = ("Drop pictures or folders here, paste them, or choose them with the buttons above.\nAny size and "
               "format: they are cropped and resized for the network.")

NO_VERDICTS = "There are no verdicts yet."


class EmptyPage(QWidget):
    """Says what is missing.

    Signals:
        offer_taken: list[Path], the offered pictures or folders are to be checked.
        samples_requested: some images of the data sets that are open are to be checked.
    """

    offer_taken = Signal(object)
    samples_requested = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._offered: list[Path] = []
        self._sample_count = 0
        self._icon = PlainLabel(alignment=Qt.AlignmentFlag.AlignCenter)
        self._text = PlainLabel(wordWrap=True, alignment=Qt.AlignmentFlag.AlignCenter)
        self._offer, self.samples = QPushButton(), QPushButton()
        self.samples.setToolTip("The clean and poisoned images that the left panel shows: see how verdicts look")
        self.samples.clicked.connect(self.samples_requested)
        self._offer.clicked.connect(lambda: self.offer_taken.emit(list(self._offered)))
        layout = QVBoxLayout(self)
        layout.addStretch(1)
        layout.addWidget(self._icon)
        layout.addWidget(self._text)
        for button in (self._offer, self.samples):
            layout.addWidget(button, 0, Qt.AlignmentFlag.AlignCenter)
        layout.addStretch(2)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._icon.setPixmap(icon("check", theme, theme.muted).pixmap(64, 64))

    def offer(self, text: str, paths: Sequence[Path]) -> None:
        """Offer to check certain pictures or folders, by a button that says `text`."""
        self._offered = list(paths)
        self._offer.setText(text)

    def offer_samples(self, count: int) -> None:
        """Offer to check so many images of the open data sets; 0 offers nothing."""
        self._sample_count = count
        self.samples.setText(f"Check {count} of the open i&mages")

    def show_state(self, *, has_goodnet: bool, busy: bool) -> None:
        """Say what to do next, or to wait."""
        ready = has_goodnet and not busy
        self._text.setText(waiting(NO_VERDICTS, "Verdicts appear here one after the other.") if busy else
                           NO_PICTURES if has_goodnet else NO_GOODNET)
        self._offer.setVisible(bool(self._offered) and has_goodnet)
        self.samples.setVisible(self._sample_count > 0 and has_goodnet)
        for button in (self._offer, self.samples):
            button.setEnabled(ready)
