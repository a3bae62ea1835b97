"""Arrays as pictures: a small one for tables, and a large one that shows every pixel and what is laid over it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import (
    QColor,
    QImage,
    QKeyEvent,
    QMouseEvent,
    QPainter,
    QPaintEvent,
    QPen,
    QPixmap,
    QWheelEvent,
)
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.files.pictures import Picture
from gui.widgets.theme import Theme

# Heat is laid over at most this opaquely, so that the picture stays visible below.
_STRONGEST_HEAT = 210
_HEAT_COLOUR = (255, 64, 0)
_ZOOM_STEP, _CLOSEST_ZOOM = 1.25, 40.0
_SHORTEST_SAVED = 440


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


def empty_thumbnail(shape: Sequence[int], height: int) -> QPixmap:
    """The place of a thumbnail of a picture H, W, C that is still being read."""
    place = QPixmap(QSize(shape[1], shape[0]).scaled(4 * height, 2 * height, Qt.AspectRatioMode.KeepAspectRatio))
    place.setDevicePixelRatio(2)
    place.fill(Qt.GlobalColor.transparent)
    return place


def heat_image(heat: npt.NDArray[np.float32]) -> QImage:
    """float32[H, W] as a layer to lay over a picture: clear at 0 and below, strongest at the maximum."""
    strength = np.maximum(heat, 0) / max(float(heat.max()), np.finfo(np.float32).tiny)
    layer = np.empty((*heat.shape, 4), np.uint8)
    layer[..., :3] = _HEAT_COLOUR
    layer[..., 3] = np.round(_STRONGEST_HEAT * strength)
    return to_image(layer)


class PictureView(QWidget):
    """One picture as large as fits, pixels kept square and sharp, with heat and a marked rectangle over it.

    The wheel, + and − zoom, dragging moves, a double click and 0 show the whole picture again.
    """

    def __init__(self, theme: Theme, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._theme = theme
        self._picture: QImage | None = None
        self._heat: QImage | None = None
        self._mark: tuple[int, int, int, int] | None = None
        self.zoom, self._shift, self._held = 1.0, QPointF(), QPointF()
        self.setFocusPolicy(Qt.FocusPolicy.StrongFocus)
        self.setAccessibleName("Picture")
        self.setToolTip("Zoom with the wheel or the keys + and −, move by dragging, show all with a double click.")
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Expanding)
        self.setMinimumSize(96, 96)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        self.update()

    def show_picture(self, picture: Picture | None, mark: tuple[int, int, int, int] | None = None) -> None:
        """Show uint8[H, W, C] without heat, or nothing; `mark` as show_heat's."""
        image = None if picture is None else to_image(picture)
        if image != self._picture:
            self._picture = image
            self.reset_zoom()
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
        self._draw(painter, self._picture, self.place())
        if self.hasFocus():
            painter.setPen(QPen(QColor(self._theme.accent), 2))
            painter.drawRect(self.rect().adjusted(1, 1, -1, -1))
        painter.end()

    def rendered(self) -> QImage | None:
        """The whole picture with what lies over it, each side at least 440 pixels long; None while there is none."""
        if self._picture is None:
            return None
        side = min(self._picture.width(), self._picture.height())
        size = self._picture.size() * max(1, -(-_SHORTEST_SAVED // side))
        image = QImage(size, QImage.Format.Format_RGB32)
        painter = QPainter(image)
        self._draw(painter, self._picture, QRectF(0, 0, size.width(), size.height()))
        painter.end()
        return image

    def place(self) -> QRectF:
        """Where the picture is drawn, larger than the widget when it is zoomed in."""
        assert self._picture is not None
        whole = self._picture.size().scaled(self.size(), Qt.AspectRatioMode.KeepAspectRatio)
        width, height = self.zoom * whole.width(), self.zoom * whole.height()
        left, top = (self.width() - whole.width()) / 2 + self._shift.x(), self._shift.y()
        return QRectF(left, top, width, height)

    def zoom_by(self, factor: float, at: QPointF | None = None) -> None:
        """Magnify around a point of the widget, its middle when None; never smaller than the whole picture."""
        if self._picture is None:
            return
        before, at = self.place(), at or QPointF(self.rect().center())
        zoom = min(max(1.0, self.zoom * factor), _CLOSEST_ZOOM)
        real, self.zoom = zoom / self.zoom, zoom
        self._shift += (at - before.topLeft()) * (1 - real)
        self._keep_in_view()

    def reset_zoom(self) -> None:
        """Show the whole picture."""
        self.zoom, self._shift = 1.0, QPointF()
        self.update()

    def wheelEvent(self, event: QWheelEvent) -> None:
        """Zoom around the mouse."""
        self.zoom_by(_ZOOM_STEP ** (event.angleDelta().y() / 120), event.position())
        event.accept()

    def mousePressEvent(self, event: QMouseEvent) -> None:
        """Take hold of the picture."""
        self._held = event.position()

    def mouseMoveEvent(self, event: QMouseEvent) -> None:
        """Move it."""
        if self._picture is not None and event.buttons() & Qt.MouseButton.LeftButton:
            self._shift += event.position() - self._held
            self._held = event.position()
            self._keep_in_view()

    def mouseDoubleClickEvent(self, event: QMouseEvent) -> None:
        """Show the whole picture."""
        self.reset_zoom()

    def keyPressEvent(self, event: QKeyEvent) -> None:
        """Zoom with + and −, show all with 0."""
        if event.key() in (Qt.Key.Key_Plus, Qt.Key.Key_Equal):
            self.zoom_by(_ZOOM_STEP)
        elif event.key() == Qt.Key.Key_Minus:
            self.zoom_by(1 / _ZOOM_STEP)
        elif event.key() == Qt.Key.Key_0:
            self.reset_zoom()
        else:
            super().keyPressEvent(event)

    def _keep_in_view(self) -> None:
        """Leave no more of the widget empty than the whole picture does."""
        place = self.place()
        self._shift += QPointF(_inside(place.left(), place.width(), self.width()) - place.left(),
                               _inside(place.top(), place.height(), self.height()) - place.top())
        if self.zoom == 1:
            self._shift = QPointF()
        self.update()

    def _draw(self, painter: QPainter, picture: QImage, place: QRectF) -> None:
        if self._heat is None:
            painter.drawImage(place, picture)
        else:  # on grey, no colour of the picture can be taken for heat
            painter.drawImage(place, picture.convertToFormat(QImage.Format.Format_Grayscale8))
            painter.setRenderHint(QPainter.RenderHint.SmoothPixmapTransform)
            painter.drawImage(place, self._heat)
        if self._mark is not None:
            self._draw_mark(painter, place, self._mark)

    def _draw_mark(self, painter: QPainter, place: QRectF, mark: tuple[int, int, int, int]) -> None:
        assert self._picture is not None
        scale = place.width() / self._picture.width()
        left, top, width, height = (scale * value for value in mark)
        box = QRectF(place.left() + left, place.top() + top, width, height)
        # White on black can be seen on any picture.
        for colour, thickness in (("#000000", 4.0), ("#ffffff", 2.0)):
            painter.setPen(QPen(QColor(colour), thickness))
            painter.drawRect(box)


def _inside(start: float, size: float, room: float) -> float:
    """Where something starts that fills its room, or lies within it where it is smaller."""
    low, high = sorted((0.0, room - size))
    return min(max(start, low), high)
