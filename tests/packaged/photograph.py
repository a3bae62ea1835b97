"""Photographs an X screen once something is drawn on it, and once more when it doesn't change any longer.

    python photograph.py PICTURE.png

Prints the monotonic clock's seconds at which something was drawn. It runs beside the packed program, with the
project's own Qt, because the packed one must show its window without help.
"""

from __future__ import annotations

import sys
import time

from PySide6.QtCore import QTimer
from PySide6.QtGui import QGuiApplication, QImage

LOOK_EVERY_MS = 50
# A window with text has hundreds of colours; the bare screen has one.
COLOURS = 40
STILL_SECONDS = 3.0


class Photographer:
    """Looks at the screen until it has something to show."""

    def __init__(self, target: str) -> None:
        self._target = target
        self._last = QImage()
        self._drawn = 0.0
        self._changed = time.monotonic()

    def look(self) -> None:
        """Take a look; end the program once the picture is there and stands still."""
        picture = QGuiApplication.primaryScreen().grabWindow(0).toImage()
        now = time.monotonic()
        if not self._drawn and colours(picture) >= COLOURS:
            self._drawn = now
            print(now, flush=True)
        if picture != self._last:
            self._last, self._changed = picture, now
        elif self._drawn and now - self._changed > STILL_SECONDS:
            QGuiApplication.exit(0 if picture.save(self._target) else 1)


def colours(picture: QImage) -> int:
    """How many colours a coarse grid of the picture's pixels has."""
    grid = ((x, y) for x in range(0, picture.width(), 4) for y in range(0, picture.height(), 4))
    return len({picture.pixel(x, y) for x, y in grid})


if __name__ == "__main__":
    application = QGuiApplication(sys.argv)
    photographer = Photographer(sys.argv[1])
    timer = QTimer(interval=LOOK_EVERY_MS)
    timer.timeout.connect(photographer.look)
    timer.start()
    print("ready", flush=True)
    sys.exit(application.exec())
