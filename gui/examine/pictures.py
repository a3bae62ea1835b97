"""The evidence as pictures: side by side in the window, and on one sheet to take along."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QIcon, QImage, QPainter
from PySide6.QtWidgets import QAbstractItemView, QListWidget, QListWidgetItem

from engine.assessment import percent
from gui.widgets.picture_view import thumbnail, to_image

if TYPE_CHECKING:
    from engine.defences.scan import Scan
    from engine.files.pictures import Picture
    from engine.runs.examine import Tried

_HEIGHT, _ROOM = 84, 32
_COLUMNS, _SIDE, _CAPTION, _GAP = 5, 220, 24, 12


@dataclass(frozen=True, eq=False)
class Shown:
    """A picture uint8[H, W, C], the few words below it, and what it is in a sentence."""

    picture: Picture
    caption: str
    meaning: str


def of_label(tried: Tried) -> list[Shown]:
    """What was reconstructed for a label: the stamp alone, then worn by clean images, in turns with its filter's
    colours where it has a filter."""
    filtered = "A clean image in the colours of a filter that draws many of them to the label"
    worn = f"A clean image that wears it; the stamp draws {percent(tried.evidence.success.value)} of them to the label"
    return [Shown(tried.picture, "Stamp alone", "The smallest stamp found, black where the image shows through"),
            *(Shown(face, "Filtered", filtered) if tried.filter and place % 2 else Shown(face, "Worn", worn)
              for place, face in enumerate(tried.faces))]


def of_scan(scan: Scan) -> list[Shown]:
    """The random stamps that draw most images to the scan's first label."""
    return [Shown(one.picture, f"{one.drawn.count} of {one.drawn.total}",
                  f"Put on {one.drawn.total} other images, this random stamp changes {one.drawn.count} of them to the "
                  "label") for one in scan.examples]


class Gallery(QListWidget):
    """Pictures side by side in one line; what each of them is stands below it and in its tooltip."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.setAccessibleName(name)
        self.setViewMode(QListWidget.ViewMode.IconMode)
        self.setMovement(QListWidget.Movement.Static)
        self.setWrapping(False)
        self.setSelectionMode(QAbstractItemView.SelectionMode.NoSelection)
        self.setVerticalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.setIconSize(QSize(2 * _HEIGHT, _HEIGHT))
        self.setSpacing(3)
        self.setFixedHeight(_HEIGHT + _ROOM + self.horizontalScrollBar().sizeHint().height())

    def show_pictures(self, shown: Sequence[Shown]) -> None:
        """Show these in place of all others."""
        self.clear()
        for one in shown:
            item = QListWidgetItem(QIcon(thumbnail(one.picture, _HEIGHT)), one.caption)
            item.setTextAlignment(Qt.AlignmentFlag.AlignCenter)
            item.setToolTip(one.meaning)
            item.setData(Qt.ItemDataRole.AccessibleTextRole, f"{one.caption}. {one.meaning}.")
            self.addItem(item)


def sheet_of(shown: Sequence[Shown]) -> QImage:
    """Pictures side by side, each above its words, black on white."""
    columns = max(1, min(_COLUMNS, len(shown)))
    lines = max(1, -(-len(shown) // columns))
    cell = QSize(_SIDE + _GAP, _SIDE + _CAPTION + _GAP)
    sheet = QImage(columns * cell.width() + _GAP, lines * cell.height() + _GAP, QImage.Format.Format_RGB32)
    sheet.fill(Qt.GlobalColor.white)
    painter = QPainter(sheet)
    for place, one in enumerate(shown):
        line, column = divmod(place, columns)
        left, top = _GAP + column * cell.width(), _GAP + line * cell.height()
        picture = to_image(one.picture).scaled(_SIDE, _SIDE, Qt.AspectRatioMode.KeepAspectRatio)
        painter.drawImage(left + (_SIDE - picture.width()) // 2, top, picture)
        painter.drawText(QRect(left, top + _SIDE, _SIDE, _CAPTION), Qt.AlignmentFlag.AlignCenter, one.caption)
    painter.end()
    return sheet
