"""A picture large, beside its original."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtWidgets import QDialog, QDialogButtonBox, QGridLayout, QVBoxLayout, QWidget

from engine.files.pictures import Picture
from engine.goodnets.checking import Verdict
from engine.literal import literal
from gui.check.model import picture_name
from gui.widgets.elided_label import ElidedLabel
from gui.widgets.picture_view import PictureView
from gui.widgets.theme import Theme


class Closer(QDialog):
    """What the network sees of a picture and the picture as it is in its file, each to be zoomed. It stays open and
    shows another picture when that is looked at."""

    def __init__(self, theme: Theme, parent: QWidget) -> None:
        super().__init__(parent)
        self.verdict: Verdict | None = None
        self.seen, self.original = PictureView(theme), PictureView(theme)
        self.captions = ElidedLabel(), ElidedLabel()
        grid = QGridLayout()
        for column, (caption, picture) in enumerate(zip(self.captions, (self.seen, self.original), strict=True)):
            grid.addWidget(caption, 0, column)
            grid.addWidget(picture, 1, column)
            grid.setColumnStretch(column, 1)
        grid.setRowStretch(1, 1)
        buttons = QDialogButtonBox(QDialogButtonBox.StandardButton.Close)
        buttons.rejected.connect(self.reject)
        layout = QVBoxLayout(self)
        layout.addLayout(grid, 1)
        layout.addWidget(buttons)
        self.resize(880, 560)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        for picture in (self.seen, self.original):
            picture.set_theme(theme)

    def show_verdict(self, verdict: Verdict, seen: Picture | None) -> None:
        """Show a picture; its original comes later, and so does what was seen of it where that is None."""
        self.verdict = verdict
        name = picture_name(verdict)
        self.setWindowTitle(literal(name))
        self.seen.setAccessibleName(f"What the network sees of {name}")
        self.original.setAccessibleName(f"{name} as it is")
        self.seen.show_picture(seen)
        self.original.show_picture(None)
        self.captions[0].show_text(f"What the network sees: {_size(verdict.seen.shape)}")
        self.captions[1].show_text("The original: being read…")

    def show_seen(self, verdict: Verdict, seen: Picture | None) -> None:
        """Show what the network sees of the picture on show, which came now."""
        if verdict is self.verdict:
            self.seen.show_picture(seen)

    def show_original(self, verdict: Verdict, picture: Picture | None) -> None:
        """Show the original of the picture on show; None where it can't be had."""
        if verdict is self.verdict:
            self.original.show_picture(picture)
            self.captions[1].show_text("The original can't be read any more" if picture is None else
                                       f"The original: {_size(picture.shape)}")


def _size(shape: Sequence[int]) -> str:
    height, width, _ = shape
    return f"{width} × {height} pixels"
