"""A heartbeat on the GUI thread: how late it gets, how much of that is the thread's own work, and who else is at it."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

from PySide6.QtCore import Qt, QTimer

BEAT_MS = 5
LATE_SECONDS = 0.05
KEPT_GAPS = 3
_LOOK_SECONDS = 0.02
_FRAMES = 3

Found = dict[str, Any]


class Beats:
    """A timer that should fire every 5 ms and notes how late it is, for each phase that `phase` names.

    A gap's `own` time is what the GUI thread itself computed in it, `core` what it waited for a core because other
    programs had them. In the rest it waited for Python's lock, or had nothing to do: `lock` is what the engine's thread
    computed in that time, the longest that one of its calls can have held the lock. Where the lock's holder has no core
    either, a wait is longer and says nothing of the program. Both are known on Linux only. Who had the lock is told by
    where all threads stand when another one, that looks every 20 ms, gets it: whoever held it has just let it go.
    """

    def __init__(self, phase: Callable[[], str]) -> None:
        self.phases: dict[str, Found] = {}
        self._phase = phase
        self._last, self._in = 0.0, ""
        self._before = (0.0, 0.0, 0.0)
        self._engine: Path | None = None
        self._seen: list[str] = []
        self._stopped = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()
        self._timer = QTimer(interval=BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def stop(self) -> None:
        """Beat no more."""
        self._timer.stop()
        self._stopped.set()

    def _beat(self) -> None:
        now = time.perf_counter()
        if self._last:
            own, core, engine = (after - before for after, before in zip(self._clocks(), self._before, strict=True))
            # A gap belongs to the phase it began in: the window can't turn to the next while it is blocked.
            self._note(self.phases.setdefault(self._in, _nothing()), now - self._last, own, core, engine)
        self._in, self._seen = self._phase(), []
        self._last, self._before = time.perf_counter(), self._clocks()

    def _note(self, found: Found, gap: float, own: float, core: float, engine: float) -> None:
        found["seconds"] += gap
        found["most_own"] = max(found["most_own"], own)
        if gap > LATE_SECONDS:
            found["late"] += 1
            found["late_seconds"] += gap
            lock = min(engine, max(0.0, gap - own - core))
            found["gaps"].append({"gap": gap, "own": own, "core": core, "lock": lock, "threads": self._seen})
            found["gaps"] = sorted(found["gaps"], key=lambda of: of["own"] + of["lock"], reverse=True)[:KEPT_GAPS]

    def _look(self) -> None:
        """On a thread of its own: where all threads stand in a gap, the GUI's last."""
        mine, gui = threading.get_ident(), threading.main_thread().ident
        while not self._stopped.wait(_LOOK_SECONDS):
            if time.perf_counter() - self._last > LATE_SECONDS and not self._seen:
                stacks = sorted(sys._current_frames().items(), key=lambda of: of[0] == gui)
                self._seen = [_innermost(frame) for thread, frame in stacks if thread != mine]

    def _clocks(self) -> tuple[float, float, float]:
        """Seconds: what this thread computed, what it waited for a core, what the engine's thread computed."""
        if self._engine is None:
            tasks = Path("/proc/self/task").glob("*")
            self._engine = next((task for task in tasks if _text(task / "comm") == "engine"), None)
        core = _text(Path("/proc/thread-self/schedstat"))
        engine = _text(self._engine / "schedstat") if self._engine else ""
        return (time.thread_time(), int(core.split()[1]) / 1e9 if core else 0.0,
                int(engine.split()[0]) / 1e9 if engine else 0.0)


def _nothing() -> Found:
    return {"seconds": 0.0, "most_own": 0.0, "late": 0, "late_seconds": 0.0, "gaps": []}


def _text(path: Path) -> str:
    """What the system says there; empty where it says nothing."""
    try:
        return path.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _innermost(frame: FrameType | None) -> str:
    """A thread's innermost calls, as "folder/file.py:line function"."""
    calls = list[str]()
    while frame is not None and len(calls) < _FRAMES:
        code = frame.f_code
        calls.append(f"{'/'.join(Path(code.co_filename).parts[-2:])}:{frame.f_lineno} {code.co_name}")
        frame = frame.f_back
    return " < ".join(calls)
