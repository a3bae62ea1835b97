"""How far a long task is, and the way to stop it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from engine.errors import Cancelled

# Parts of an image add up to it but for rounding.
_ROUNDING = 1e-3
_BEAT_SECONDS = 0.5


@dataclass(frozen=True)
class Progress:
    """One report of a running task: `done` of `total` units (images, steps) of `what`."""

    what: str
    done: int
    total: int


ProgressCallback = Callable[[Progress], None]
# Is told how many images, or what part of one, were computed since it was told last; called from any thread.
Did = Callable[[float], None]


class CancelToken:
    """What a task reads between chunks. It can't set itself: see CancelSource."""

    def __init__(self, beside: CancelToken | None = None) -> None:
        self._event, self._beside = threading.Event(), beside

    @property
    def is_cancelled(self) -> bool:
        """True once the source was told to cancel; it never turns back."""
        return self._event.is_set() or (self._beside is not None and self._beside.is_cancelled)

    def raise_if_cancelled(self) -> None:
        """Raises:
        Cancelled: the source was told to cancel.
        """
        if self.is_cancelled:
            raise Cancelled


class CancelSource:
    """What a person's Cancel button holds; safe to call from any thread.

    Args:
        beside: a token whose being set counts as well.
    """

    def __init__(self, beside: CancelToken | None = None) -> None:
        self.token = CancelToken(beside)

    def cancel(self) -> None:
        """Ask the task that reads `token` to stop at its next look."""
        self.token._event.set()


class Heartbeat:
    """Reports a task's steps, and the last one again, at most twice a second, while the next takes long."""

    def __init__(self, what: str, total: int, progress: ProgressCallback) -> None:
        self._what, self._total, self._progress = what, total, progress
        self.report(0)

    def report(self, done: int) -> None:
        """So many steps have ended."""
        self._done, self._told = done, time.monotonic()
        self._progress(Progress(self._what, done, self._total))

    def beat(self, _: float = 0.0) -> None:
        """Part of a step has ended."""
        if time.monotonic() - self._told > _BEAT_SECONDS:
            self.report(self._done)


class Meter:
    """What several threads have done of a task, added up for the one thread that reports it."""

    def __init__(self, what: str, total: int, progress: ProgressCallback) -> None:
        self._what, self._total, self._progress = what, total, progress
        self._done, self._lock, self._told = 0.0, threading.Lock(), 0

    def add(self, done: float) -> None:
        """Count more units; safe to call from any thread."""
        with self._lock:
            self._done += done

    def report(self, finished: int | None = None) -> None:
        """Tell the callback how many units are done as a whole, if those are more than it was told before.

        Args:
            finished: units of which the result is there; None for all that threads have counted.
        """
        counted = min(self._total, int(self._done + _ROUNDING) if finished is None else finished)
        if counted > self._told:
            self._told = counted
            self._progress(Progress(self._what, self._told, self._total))


def ignore_progress(_: Progress) -> None:
    """A callback for callers who don't watch."""


def ignore_done(_: float) -> None:
    """The same for what is done."""


NEVER_CANCELLED = CancelToken()
