"""A strip of small pictures: a few images of a data set, clean ones above poisoned ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRect, QSize
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.widgets.picture_view import to_image

_GAP = 3
_HEIGHT = 42


class ThumbnailStrip(QWidget):
    """Rows of pictures, as many of each as fit the width; the rows' pictures stand in columns."""

    def __init__(self) -> None:
        super().__init__()
        self._rows: list[list[QImage]] = []
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Fixed)
        self.hide()

    def show_rows(self, rows: Sequence[npt.NDArray[np.uint8]], what: str) -> None:
        """Show rows of pictures.

        Args:
            rows: each uint8[n, H, W, C].
            what: what they are, for people who can't see them.
        """
        self._rows = [[to_image(pixels) for pixels in row] for row in rows]
        self.setAccessibleName(what)
        self.setToolTip(what)
        self.setVisible(bool(self._rows))
        self.updateGeometry()
        self.update()

    def sizeHint(self) -> QSize:
        """Room for all rows; the width is whatever there is."""
        return QSize(200, len(self._rows) * (_HEIGHT + _GAP))

    def minimumSizeHint(self) -> QSize:
        """As the size hint, narrower."""
        return QSize(50, self.sizeHint().height())

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw the pictures, shrunk smoothly, or enlarged with their pixels kept."""
        painter = QPainter(self)
        for number, row in enumerate(self._rows):
            left = 0
            for image in row:
                width = max(1, round(image.width() * _HEIGHT / image.height()))
                if left + width > self.width():
                    break
                shrinks = image.height() > _HEIGHT * self.devicePixelRatio()
                painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform, shrinks)
                painter.drawImage(QRect(left, number * (_HEIGHT + _GAP), width, _HEIGHT), image)
                left += width + _GAP
        painter.end()

    @property
    def shown(self) -> int:
        """How many pictures there are."""
        return sum(map(len, self._rows))
