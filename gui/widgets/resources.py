"""The one reader of resources/: icons, help pages and pictures, from the source tree or a packed program."""

from __future__ import annotations

import dataclasses
from functools import cache
from string import Template

from PySide6.QtCore import QByteArray, QRectF, QSize, Qt
from PySide6.QtGui import QIcon, QImage, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from engine.places import resource as path
from gui.widgets.theme import Theme

# Sizes in which icons are drawn ahead, so that toolbars and tables are sharp at 100 and at 200 % scaling.
_ICON_SIZES = (16, 24, 32, 64)


@cache
def icon(name: str, theme: Theme, colour: str | None = None) -> QIcon:
    """The icon resources/icons/NAME.svg in a theme's text colour, or in `colour` (#rrggbb).

    Disabled and selected states are drawn in the colours that text has there.

    Raises:
        FileNotFoundError: there is no such icon.
    """
    drawing = path(f"icons/{name}.svg").read_text(encoding="utf-8")
    result = QIcon()
    for mode, ink in ((QIcon.Mode.Normal, colour or theme.text), (QIcon.Mode.Disabled, theme.muted),
                      (QIcon.Mode.Selected, theme.accent_text)):
        renderer = _renderer(drawing.replace("currentColor", ink))
        for side in _ICON_SIZES:
            result.addPixmap(QPixmap.fromImage(_draw(renderer, QSize(side, side))), mode)
    return result


def application_icon() -> QIcon:
    """The program's icon in all its sizes."""
    result = QIcon()
    for file in sorted(path("icon").glob("*.png")):
        result.addFile(str(file))
    return result


def picture(relative: str, theme: Theme, ratio: float = 1.0) -> QImage:
    """An SVG picture in its own size and a theme's colours: $text, $accent and so on stand for Theme's fields.

    Args:
        ratio: device pixels per logical pixel of the screen it is for.
    Raises:
        FileNotFoundError: there is no such picture.
        KeyError: the picture names a colour that no theme has.
    """
    colours = {**dataclasses.asdict(theme), "attack": theme.attack[0]}
    renderer = _renderer(Template(path(relative).read_text(encoding="utf-8")).substitute(colours))
    image = _draw(renderer, renderer.defaultSize() * ratio)
    image.setDevicePixelRatio(ratio)
    return image


def _renderer(drawing: str) -> QSvgRenderer:
    return QSvgRenderer(QByteArray(drawing.encode()))


def _draw(renderer: QSvgRenderer, size: QSize) -> QImage:
    image = QImage(size, QImage.Format.Format_ARGB32_Premultiplied)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    renderer.render(painter, QRectF(0, 0, size.width(), size.height()))
    painter.end()
    return image
