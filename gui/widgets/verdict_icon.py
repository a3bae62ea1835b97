"""Icons of a verdict's level, each with a shape of its own, so that nobody needs to tell colours apart."""

from __future__ import annotations

from PySide6.QtCore import QPointF, QRectF, QSize, Qt
from PySide6.QtGui import QColor, QPainter, QPaintEvent, QPen, QPolygonF
from PySide6.QtWidgets import QSizePolicy, QWidget

from engine.assessment import LEVEL_WORDS, Level
from gui.widgets.theme import Theme


def level_colour(level: Level, theme: Theme) -> QColor:
    """The colour of a level's icon and word."""
    return QColor({"repaired": theme.good, "protected": theme.good, "costly": theme.warning, "weakened": theme.warning,
                   "failed": theme.danger, "unknown": theme.muted}[level])


def paint_level(painter: QPainter, box: QRectF, level: Level, colour: QColor, mark: QColor) -> None:
    """Paint a level's icon into a square.

    A disc with a tick: repaired. A shield with a tick: protected. A triangle with "!": too costly. A half-filled disc:
    weakened. A square with a cross: not stopped. An empty disc with "?": no verdict.

    Args:
        colour: of the shape; mark: of the sign upon it.
    """
    painter.save()
    painter.setRenderHint(QPainter.RenderHint.Antialiasing)
    painter.translate(box.topLeft())
    painter.scale(box.width() / 16, box.height() / 16)
    painter.setPen(QPen(colour, 1.5))
    painter.setBrush(colour if level in ("repaired", "protected", "costly", "failed") else Qt.BrushStyle.NoBrush)
    if level == "protected":
        painter.drawPolygon(QPolygonF([QPointF(8, 1), QPointF(14.5, 3), QPointF(13.5, 10), QPointF(8, 15),
                                       QPointF(2.5, 10), QPointF(1.5, 3)]))
    elif level == "costly":
        painter.drawPolygon(QPolygonF([QPointF(8, 1.5), QPointF(15, 14.5), QPointF(1, 14.5)]))
    elif level == "failed":
        painter.drawRoundedRect(QRectF(1.5, 1.5, 13, 13), 2, 2)
    else:
        painter.drawEllipse(QRectF(1.5, 1.5, 13, 13))
    _paint_mark(painter, level, colour, mark)
    painter.restore()


def _paint_mark(painter: QPainter, level: Level, colour: QColor, mark: QColor) -> None:
    pen = QPen(mark, 2, Qt.PenStyle.SolidLine, Qt.PenCapStyle.RoundCap, Qt.PenJoinStyle.RoundJoin)
    painter.setPen(pen)
    if level in ("repaired", "protected"):
        painter.drawPolyline([QPointF(4.8, 8.4), QPointF(7.1, 10.8), QPointF(11.4, 5.4)])
    elif level == "costly":
        painter.drawLine(QPointF(8, 6), QPointF(8, 9.6))
        painter.drawPoint(QPointF(8, 12.4))
    elif level == "failed":
        painter.drawLine(QPointF(5.2, 5.2), QPointF(10.8, 10.8))
        painter.drawLine(QPointF(10.8, 5.2), QPointF(5.2, 10.8))
    elif level == "weakened":
        painter.setBrush(colour)
        painter.setPen(Qt.PenStyle.NoPen)
        painter.drawPie(QRectF(1.5, 1.5, 13, 13), 90 * 16, 180 * 16)
    else:
        font = painter.font()
        font.setPixelSize(10)
        font.setBold(True)
        painter.setFont(font)
        painter.setPen(colour)
        painter.drawText(QRectF(0, 0, 16, 16), Qt.AlignmentFlag.AlignCenter, "?")


class LevelIcon(QWidget):
    """A verdict's icon."""

    def __init__(self, theme: Theme, side: int = 26) -> None:
        super().__init__()
        self._theme, self._side = theme, side
        self._level: Level = "unknown"
        self.setSizePolicy(QSizePolicy.Policy.Fixed, QSizePolicy.Policy.Fixed)

    def set_theme(self, theme: Theme) -> None:
        """Take a theme's colours."""
        self._theme = theme
        self.update()

    def show_level(self, level: Level, words: str = "") -> None:
        """Show another level's icon; `words` say what it means here, if not what it means for a defence."""
        self._level = level
        self.setAccessibleName(words or LEVEL_WORDS[level])
        self.setToolTip(words or LEVEL_WORDS[level])
        self.update()

    def sizeHint(self) -> QSize:
        """The icon's size."""
        return QSize(self._side, self._side)

    def paintEvent(self, _: QPaintEvent) -> None:
        """Draw the icon."""
        painter = QPainter(self)
        paint_level(painter, QRectF(0, 0, self._side, self._side), self._level, level_colour(self._level, self._theme),
                    QColor(self._theme.surface))
        painter.end()
