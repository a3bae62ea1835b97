"""Work of the window in small pieces, between which it answers whatever a person does."""

from __future__ import annotations

from collections.abc import Callable

from PySide6.QtCore import QObject, QTimer


def in_turns(owner: QObject, *calls: Callable[[], object]) -> None:
    """Call one function after the other, each in a turn of the event loop of its own, as long as `owner` lives.

    By a timer and not by queued calls: those would all run before anything else is answered.
    """
    timer, left = QTimer(owner, interval=0), list(calls)

    def turn() -> None:
        if left:
            left.pop(0)()
        else:
            timer.deleteLater()

    timer.timeout.connect(turn)
    timer.start()
