"""Draws the application icon's PNG, ICO and ICNS files from icon.svg: python resources/make_icons.py"""

from __future__ import annotations

import sys
from pathlib import Path

from PIL import Image
from PySide6.QtCore import QSize, Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

HERE = Path(__file__).resolve().parent
SIZES = (16, 24, 32, 48, 64, 128, 256, 512)


def draw(renderer: QSvgRenderer, side: int, target: Path) -> None:
    """Draw the icon `side` pixels wide and high into a PNG file."""
    image = QImage(QSize(side, side), QImage.Format.Format_ARGB32)
    image.fill(Qt.GlobalColor.transparent)
    painter = QPainter(image)
    renderer.render(painter)
    painter.end()
    image.save(str(target))


def main() -> None:
    """Write icon/goodnet-SIZE.png, icon/goodnet.ico (Windows) and icon/goodnet.icns (macOS)."""
    application = QGuiApplication([*sys.argv, "-platform", "offscreen"])
    folder = HERE / "icon"
    folder.mkdir(exist_ok=True)
    renderer = QSvgRenderer(str(HERE / "icon.svg"))
    for side in SIZES:
        draw(renderer, side, folder / f"goodnet-{side:03}.png")
    application.quit()
    with Image.open(folder / "goodnet-512.png") as largest:
        largest.save(folder / "goodnet.ico", sizes=[(side, side) for side in SIZES if side <= 256])
        largest.save(folder / "goodnet.icns")


if __name__ == "__main__":
    main()
