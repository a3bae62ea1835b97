"""How far a long task is, and the way to stop it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import Cancelled


@dataclass(frozen=True)
class Progress:
    """One report of a running task: `done` of `total` units (images, steps) of `what`."""

    what: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]


class CancelToken:
    """What a task reads between chunks. It can't set itself: see CancelSource."""

    def __init__(self) -> None:
        self._event = threading.Event()

    @property
    def is_cancelled(self) -> bool:
        """True once the source was told to cancel; it never turns back."""
        return self._event.is_set()

    def raise_if_cancelled(self) -> None:
        """Raises:
        Cancelled: the source was told to cancel.
        """
        if self._event.is_set():
            raise Cancelled


class CancelSource:
    """What a person's Cancel button holds; safe to call from any thread."""

    def __init__(self) -> None:
        self.token = CancelToken()

    def cancel(self) -> None:
        """Ask the task that reads `token` to stop at its next look."""
        self.token._event.set()


def ignore_progress(_: Progress) -> None:
    """A callback for callers who don't watch."""


NEVER_CANCELLED = CancelToken()
