"""Letting the window live until something is so, without a test framework."""

from __future__ import annotations

import time
from collections.abc import Callable

from PySide6.QtCore import QEventLoop, QTimer

_LOOK_EVERY_MS = 5
_PATIENCE_SECONDS = 600


def look(seconds: float) -> None:
    """What a person does between two clicks; the window goes on."""
    end = time.monotonic() + seconds
    until(lambda: time.monotonic() > end)


def until(come_true: Callable[[], bool]) -> None:
    """Run the event loop until something is so.

    Raises:
        TimeoutError: it isn't in ten minutes.
    """
    loop = QEventLoop()
    end = time.monotonic() + _PATIENCE_SECONDS
    timer = QTimer(interval=_LOOK_EVERY_MS)
    timer.timeout.connect(lambda: loop.quit() if come_true() or time.monotonic() > end else None)
    timer.start()
    loop.exec()
    timer.stop()
    if not come_true():
        raise TimeoutError("the window didn't get there in ten minutes")
