"""Pictures of an activation map: the image, and the map as heat over it, with the scale of its values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRect, QSize, Qt
from PySide6.QtGui import QImage, QPainter, QPaintEvent
from PySide6.QtWidgets import QSizePolicy, QWidget

from gui.widgets.picture_view import to_image

if TYPE_CHECKING:
    from engine.files.pictures import Picture

# From black over violet and orange to pale yellow: brightness rises all the way, so it reads in grey as well.
_STOPS = np.array([(0, 0, 4), (87, 16, 110), (188, 55, 84), (249, 142, 9), (252, 255, 164)], float)
_COVER = 0.7


class PictureBox(QWidget):
    """Shows one image as large as it fits, pixel by pixel, with heat over it if there is some."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self._picture: QImage | None = None
        self._heat: QImage | None = None
        self.setAccessibleName(name)
        self.setMinimumSize(QSize(72, 72))
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)

    def show_picture(self, picture: Picture | None, heat: npt.NDArray[np.uint8] | None = None) -> None:
        """Show uint8[H, W, C] and over it heat, uint8[h, w, 3] stretched to the same size."""
        self._picture = None if picture is None else to_image(picture)
        self._heat = None if heat is None else to_image(heat)
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw nearest pixels: what is shown is what the network sees."""
        if self._picture is None:
            return
        size = self._picture.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRect(0, 0, size.width(), size.height())
        place.moveCenter(self.rect().center())
        painter = QPainter(self)
        painter.drawImage(place, self._picture)
        if self._heat is not None:
            painter.setOpacity(_COVER)
            painter.drawImage(place, self._heat)
        painter.end()


class HeatScale(QWidget):
    """The colours from the lowest to the highest value, with both numbers."""

    def __init__(self) -> None:
        super().__init__()
        self._span: tuple[float, float] | None = None
        self.setAccessibleName("Scale of the activation")
        self.setMinimumHeight(2 * self.fontMetrics().height() + 4)

    def show_span(self, span: tuple[float, float] | None) -> None:
        """Show a scale from low to high."""
        self._span = span
        self.setAccessibleDescription("" if span is None else f"from {span[0]:.4g} to {span[1]:.4g}")
        self.update()

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the colours with the numbers below."""
        if self._span is None:
            return
        painter = QPainter(self)
        line = self.fontMetrics().height()
        painter.drawImage(QRect(0, 0, self.width(), line), to_image(colours_of(np.linspace(0, 1, 256)[np.newaxis])))
        below = QRect(0, line + 2, self.width(), line)
        painter.setPen(self.palette().windowText().color())
        painter.drawText(below, Qt.AlignmentFlag.AlignLeft, f"{self._span[0]:.4g}")
        painter.drawText(below, Qt.AlignmentFlag.AlignHCenter, "activation")
        painter.drawText(below, Qt.AlignmentFlag.AlignRight, f"{self._span[1]:.4g}")
        painter.end()


def heat_of(values: npt.NDArray[np.float32], span: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Colours uint8[h, w, 3] of a map float32[h, w] on a scale from low to high."""
    low, high = span
    return colours_of((values - low) / (high - low or 1))


def colours_of(parts: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    """The heat colours uint8[..., 3] of numbers from 0 to 1."""
    places = np.linspace(0, 1, len(_STOPS))
    return np.stack([np.interp(parts, places, _STOPS[:, c]) for c in range(3)], axis=-1).astype(np.uint8)
