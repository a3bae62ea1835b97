"""What a person changed, and how each change is taken back."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from PySide6.QtCore import QObject, Signal

_MOST_STEPS = 100


@dataclass(frozen=True, eq=False)
class Step:
    """A change in words, and what takes it back."""

    what: str
    undo: Callable[[], object]


class History(QObject):
    """The changes that can be undone, the last one first.

    Signals: `changed()`, and `undone(str)` with the change in words.
    """

    changed = Signal()
    undone = Signal(str)

    def __init__(self, parent: QObject) -> None:
        super().__init__(parent)
        self._steps: deque[Step] = deque(maxlen=_MOST_STEPS)

    def __bool__(self) -> bool:
        return bool(self._steps)

    def add(self, step: Step) -> None:
        """Remember a change that was made."""
        self._steps.append(step)
        self.changed.emit()

    def drop(self, step: Step) -> None:
        """Forget a change that came to nothing."""
        if step in self._steps:
            self._steps.remove(step)
            self.changed.emit()

    def undo(self) -> None:
        """Take the last change back."""
        if self._steps:
            step = self._steps.pop()
            step.undo()
            self.changed.emit()
            self.undone.emit(step.what)
