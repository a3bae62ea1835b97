"""The stamps that a scan found, as one picture to take along."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QImage, QPainter

from gui.widgets.picture_view import to_image

if TYPE_CHECKING:
    from engine.defences.scan import StampExample

_COLUMNS, _SIDE, _CAPTION, _GAP = 4, 220, 40, 12


def stamp_text(example: StampExample) -> str:
    """How well a stamp works: of how many images, and the share."""
    drawn = example.drawn
    return f"{drawn.count} of {drawn.total}\n{100 * drawn.value:.0f}\u00a0%"


def stamps_picture(examples: Sequence[StampExample]) -> QImage:
    """Stamped images side by side, each above how well its stamp works, black on white."""
    columns = max(1, min(_COLUMNS, len(examples)))
    lines = max(1, -(-len(examples) // columns))
    cell = QSize(_SIDE + _GAP, _SIDE + _CAPTION + _GAP)
    sheet = QImage(columns * cell.width() + _GAP, lines * cell.height() + _GAP, QImage.Format.Format_RGB32)
    sheet.fill(Qt.GlobalColor.white)
    painter = QPainter(sheet)
    for place, example in enumerate(examples):
        line, column = divmod(place, columns)
        left, top = _GAP + column * cell.width(), _GAP + line * cell.height()
        picture = to_image(example.picture).scaled(_SIDE, _SIDE, Qt.AspectRatioMode.KeepAspectRatio)
        painter.drawImage(left + (_SIDE - picture.width()) // 2, top, picture)
        painter.drawText(QRect(left, top + _SIDE, _SIDE, _CAPTION), Qt.AlignmentFlag.AlignCenter, stamp_text(example))
    painter.end()
    return sheet
