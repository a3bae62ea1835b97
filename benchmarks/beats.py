"""A heartbeat on the GUI thread: how late it gets, how much of that is the thread's own work, and who else is at it."""

from __future__ import annotations

import faulthandler
import re
import tempfile
import time
from collections.abc import Callable
from typing import Any

from PySide6.QtCore import Qt, QTimer

BEAT_MS = 5
LATE_SECONDS = 0.05
# Outer frames say nothing: they are those of the event loops.
_FRAME = re.compile(r'^  File "(?:.*/)?([^"/]+/[^"/]+)", line (\d+) in (.+)$')

Found = dict[str, Any]


class Beats:
    """A timer that should fire every 5 ms and notes how late it is, for each phase that `phase` names.

    A gap's `own` time is what the GUI thread itself computed in it; in the rest it waited, for a core or for Python's
    lock. Who had the lock is told by where all threads stand 50 ms into a gap, which C code writes down that needs no
    lock itself.
    """

    def __init__(self, phase: Callable[[], str]) -> None:
        self.phases: dict[str, Found] = {}
        self._phase = phase
        self._last, self._own, self._in = 0.0, 0.0, ""
        self._stacks = tempfile.TemporaryFile("w+")  # noqa: SIM115  as long as this lives
        self._timer = QTimer(interval=BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def stop(self) -> None:
        """Beat no more."""
        self._timer.stop()
        faulthandler.cancel_dump_traceback_later()
        self._stacks.close()

    def _beat(self) -> None:
        now, own = time.perf_counter(), time.thread_time()
        if self._last:
            # A gap belongs to the phase it began in: the window can't turn to the next while it is blocked.
            self._note(self.phases.setdefault(self._in, _nothing()), now - self._last, own - self._own)
        faulthandler.dump_traceback_later(LATE_SECONDS, file=self._stacks)
        self._in = self._phase()
        self._last, self._own = time.perf_counter(), time.thread_time()

    def _note(self, found: Found, gap: float, own: float) -> None:
        found["beats"] += 1
        found["seconds"] += gap
        found["most_own"] = max(found["most_own"], own)
        if gap > found["longest"]:
            found["longest"], found["own_in_longest"] = gap, own
        if gap > LATE_SECONDS:
            found["late"] += 1
            found["late_seconds"] += gap
            self._stacks.seek(0)
            found["stacks"].append((gap, own, _innermost(self._stacks.read())))
            found["stacks"] = sorted(found["stacks"], reverse=True)[:5]
            self._stacks.seek(0)
            self._stacks.truncate()


def _nothing() -> Found:
    return {"beats": 0, "seconds": 0.0, "longest": 0.0, "own_in_longest": 0.0, "most_own": 0.0, "late": 0,
            "late_seconds": 0.0, "stacks": []}


def _innermost(dump: str) -> list[str]:
    """Of each thread the innermost three frames, the GUI thread's last, as "folder/file.py:line function"."""
    threads = []
    for part in dump.split("Thread 0x")[1:]:
        frames = [match for match in map(_FRAME.match, part.splitlines()) if match]
        threads.append(" < ".join(f"{m[1]}:{m[2]} {m[3]}" for m in frames[:3]))
    return threads
