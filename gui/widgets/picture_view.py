"""Arrays as pictures: a small one for tables, and a large one that shows every pixel and what is laid over it."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QRectF, QSize, Qt
from PySide6.QtGui import QColor, QImage, QPainter, QPaintEvent, QPen, QPixmap
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.files.pictures import Picture
from gui.widgets.theme import Theme

# Heat is laid over at most this opaquely, so that the picture stays visible below.
_STRONGEST_HEAT = 210
_HEAT_COLOUR = (255, 64, 0)


def to_image(picture: Picture) -> QImage:
    """uint8[H, W, C] with C of 1 (grey), 3 (colour) or 4 (colour and opacity) as an image of its own."""
    height, width, channels = picture.shape
    formats = {1: QImage.Format.Format_Grayscale8, 3: QImage.Format.Format_RGB888, 4: QImage.Format.Format_RGBA8888}
    data = np.ascontiguousarray(picture)
    return QImage(data.data, width, height, width * channels, formats[channels]).copy()


def thumbnail(picture: Picture, height: int) -> QPixmap:
    """uint8[H, W, C] scaled to a height in logical pixels, sharp at 200 % scaling too."""
    scaled = to_image(picture).scaled(4 * height, 2 * height, Qt.AspectRatioMode.KeepAspectRatio,
                                      Qt.TransformationMode.SmoothTransformation)
    scaled.setDevicePixelRatio(2)
    return QPixmap.fromImage(scaled)


def heat_image(heat: npt.NDArray[np.float32]) -> QImage:
    """float32[H, W] as a layer to lay over a picture: clear at 0 and below, strongest at the maximum."""
    strength = np.maximum(heat, 0) / max(float(heat.max()), np.finfo(np.float32).tiny)
    layer = np.empty((*heat.shape, 4), np.uint8)
    layer[..., :3] = _HEAT_COLOUR
    layer[..., 3] = np.round(_STRONGEST_HEAT * strength)
    return to_image(layer)


class PictureView(QWidget):
    """One picture as large as fits, pixels kept square and sharp, with heat and a marked rectangle over it."""

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._picture: QImage | None = None
        self._heat: QImage | None = None
        self._mark: tuple[int, int, int, int] | None = None
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(96, 96)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        self.update()

    def show_picture(self, picture: Picture | None, mark: tuple[int, int, int, int] | None = None) -> None:
        """Show uint8[H, W, C] without heat, or nothing; `mark` as show_heat's."""
        self._picture = None if picture is None else to_image(picture)
        self.show_heat(None, mark)

    def show_heat(self, heat: npt.NDArray[np.float32] | None,
                  mark: tuple[int, int, int, int] | None = None) -> None:
        """Lay float32[H, W] over the picture, which turns grey below it.

        Args:
            mark: left, top, width, height in the picture's pixels of a rectangle to draw.
        """
        self._heat = None if heat is None else heat_image(heat)
        self._mark = mark
        self.update()

    @property
    def has_heat(self) -> bool:
        """Whether heat lies over the picture."""
        return self._heat is not None

    def sizeHint(self) -> QSize:
        """Room to see single pixels of a small picture."""
        return QSize(220, 220)

    def paintEvent(self, event: QPaintEvent) -> None:
        """Draw the picture, then what lies over it."""
        if self._picture is None:
            return
        painter = QPainter(self)
        size = self._picture.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        place = QRectF((self.width() - size.width()) / 2, 0, size.width(), size.height())
        if self._heat is None:
            painter.drawImage(place, self._picture)
        else:  # on grey, no colour of the picture can be taken for heat
            painter.drawImage(place, self._picture.convertToFormat(QImage.Format.Format_Grayscale8))
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(place, self._heat)
        if self._mark is not None:
            self._draw_mark(painter, place, self._mark)
        painter.end()

    def _draw_mark(self, painter: QPainter, place: QRectF, mark: tuple[int, int, int, int]) -> None:
        assert self._picture is not None
        scale = place.width() / self._picture.width()
        left, top, width, height = (scale * value for value in mark)
        box = QRectF(place.left() + left, place.top() + top, width, height)
        # White on black can be seen on any picture.
        for colour, thickness in (("#000000", 4.0), ("#ffffff", 2.0)):
            painter.setPen(QPen(QColor(colour), thickness))
            painter.drawRect(box)
