"""`make bench-gui`: does the window stay alive while the engine works, and how soon is it there?

A timer that should fire every 5 ms beats on the GUI thread during a whole run on data of the lab's size, from opening
the files to the pair that is ready to check pictures. What is late was blocked. Each measurement is a process of its
own.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.driving import look, until

PROJECT = Path(__file__).resolve().parent.parent
BEAT_MS = 5
LATE_SECONDS = 0.05
STARTS = 5

Found = dict[str, Any]


def main() -> int:
    """Measure everything and print a table, or, with an argument, measure one thing and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("measure", nargs="?", choices=list(MEASURES))
    parser.add_argument("--folder", help="keep the data made here, to measure again faster")
    options = parser.parse_args()
    if options.measure:
        print(json.dumps(MEASURES[options.measure](Path(options.folder))))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        beats = _in_a_process("heartbeat", folder)
        starts = [_in_a_process("start", folder) for _ in range(STARTS + 1)][1:]  # the first one warms the disk
    print("\n".join(_table(beats, [start["seconds"] for start in starts])))
    return 0


def heartbeat(folder: Path) -> Found:
    """Gaps between beats in each phase of a run: {"phases": {name: {...}}, "images": n}."""
    from PySide6.QtWidgets import QApplication

    from benchmarks import lab_size
    from gui.main_window import MainWindow
    from gui.session.session import State
    from gui.settings import Settings

    data = lab_size.make(folder, PROJECT)
    _ = QApplication([sys.argv[0]])
    window = MainWindow(Settings(folder / "settings.ini"))
    session = window.session
    beats = Beats(lambda: "loading TensorFlow" if session.state is State.LOADING_ENGINE else phase)
    window.show()
    phase = "drawing the window, loading matplotlib"
    until(lambda: session.idle and window.curve.panel is not None)
    phase = "nothing to do, for 3 s"
    look(3)
    phase = "opening the files"
    window.desk.choosing.open_as("model", data.model)
    window.desk.choosing.open_as("validation", data.validation)
    window.desk.choosing.open_as("poisoned", data.poisoned_validation)
    until(lambda: session.idle)
    phase = "the run and all it ends in"
    window.desk.pruning.start()
    until(lambda: session.idle and session.run is not None)
    phase = "each view in turn, and in the other theme"
    for choice in ("light", "dark"):
        window.set_theme(choice)
        look(0.3)
        for tab in range(window.tabs.count()):
            window.tabs.setCurrentIndex(tab)
            look(0.3)
            until(lambda: session.idle)
    beats.stop()
    assert session.run is not None
    images = sum(d.images for d in session.run.datasets)
    window.close()
    return {"phases": beats.phases, "images": images, "run_seconds": session.run.seconds, "load": _load()}


class Beats:
    """A timer on the GUI thread that notes how late it is: in each phase, the longest gap and the late ones."""

    def __init__(self, phase: Callable[[], str]) -> None:
        from PySide6.QtCore import Qt, QTimer

        self.phases: dict[str, Found] = {}
        self._phase = phase
        self._last, self._in = 0.0, ""
        self._timer = QTimer(interval=BEAT_MS, timerType=Qt.TimerType.PreciseTimer)
        self._timer.timeout.connect(self._beat)
        self._timer.start()

    def stop(self) -> None:
        """Beat no more."""
        self._timer.stop()

    def _beat(self) -> None:
        now, phase = time.perf_counter(), self._phase()
        if self._last:
            # A gap belongs to the phase it began in: the window can't turn to the next while it is blocked.
            found = self.phases.setdefault(self._in, {"beats": 0, "seconds": 0.0, "longest": 0.0, "late": 0,
                                                      "late_seconds": 0.0})
            gap = now - self._last
            found["beats"] += 1
            found["seconds"] += gap
            found["longest"] = max(found["longest"], gap)
            if gap > LATE_SECONDS:
                found["late"] += 1
                found["late_seconds"] += gap
        self._last, self._in = now, phase


def start(folder: Path) -> Found:
    """Seconds from just before this process was started to the window on screen."""
    from PySide6.QtCore import QTimer
    from PySide6.QtGui import QPaintEvent
    from PySide6.QtWidgets import QApplication

    from gui import __main__ as program

    drawn: list[float] = []

    class Timed(program.MainWindow):
        """The window, which leaves once everything on it was painted."""

        def paintEvent(self, event: QPaintEvent) -> None:
            """Paint; children follow in the same go, then the timer fires."""
            super().paintEvent(event)
            QTimer.singleShot(0, lambda: drawn.append(time.time()))
            QTimer.singleShot(0, self.close)

    program.MainWindow = Timed  # type: ignore[misc]
    os.environ["GOODNET_SETTINGS"] = str(folder / "settings.ini")
    program.main([])
    QApplication.quit()
    return {"seconds": drawn[0] - float(os.environ["BENCH_STARTED"])}


MEASURES: dict[str, Callable[[Path], Found]] = {"heartbeat": heartbeat, "start": start}


def _in_a_process(measure: str, folder: Path) -> Found:
    command = [sys.executable, "-m", "benchmarks.responsiveness", measure, "--folder", str(folder)]
    done = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False,
                          env={**os.environ, "BENCH_STARTED": repr(time.time())})
    if done.returncode:
        sys.exit(f"{measure} failed:\n{done.stderr}")
    found: Found = json.loads(done.stdout.splitlines()[-1])
    return found


def _table(beats: Found, starts: list[float]) -> list[str]:
    lines = [f"A beat every {BEAT_MS} ms on the GUI thread; {beats['images']:,} images in the run, which took "
             f"{beats['run_seconds']:.1f} s; {os.cpu_count()} cores, load {beats['load']}, {platform.system()}, "
             f"Python {platform.python_version()}, Qt platform {os.environ.get('QT_QPA_PLATFORM', 'default')}.", "",
             "| phase | seconds | longest gap | gaps above 50 ms | time in them |", "|---|---|---|---|---|"]
    for name, found in beats["phases"].items():
        lines.append(f"| {name} | {found['seconds']:.1f} | {1000 * found['longest']:.0f} ms | {found['late']} | "
                     f"{1000 * found['late_seconds']:.0f} ms |")
    return [*lines, "", f"From the start of Python to the drawn window: median {statistics.median(starts):.2f} s, "
                        f"slowest {max(starts):.2f} s of {len(starts)} starts."]


def _load() -> str:
    return " ".join(f"{x:.1f}" for x in os.getloadavg()) if hasattr(os, "getloadavg") else "unknown"


if __name__ == "__main__":
    sys.exit(main())
