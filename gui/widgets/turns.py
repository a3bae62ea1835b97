"""Work of the window in small pieces, between which it answers whatever a person does."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import shiboken6
from PySide6.QtCore import QCoreApplication, QObject, QTimer


def in_turns(owner: QObject, *calls: Callable[[], object]) -> None:
    """Call one function after the other, each in a turn of the event loop of its own, as long as `owner` lives.

    By a timer and not by queued calls: those would all run before anything else is answered. By one timer for all
    owners, for the same reason: timers that are due together all fire in one turn.
    """
    application = QCoreApplication.instance()
    assert application is not None
    turns = application.findChild(_Turns) or _Turns(application)
    turns.left.extend((owner, call) for call in calls)
    turns.start()


class _Turns(QTimer):
    """What all owners still have to do, in the order in which they asked."""

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent, interval=0)
        self.left: deque[tuple[QObject, Callable[[], object]]] = deque()
        self.timeout.connect(self._turn)

    def _turn(self) -> None:
        while self.left:
            owner, call = self.left.popleft()
            if shiboken6.isValid(owner):
                call()
                return
        self.stop()
