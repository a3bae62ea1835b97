"""`make bench-gui`: does the window stay alive while the engine works, and how soon is it there?

A timer that should fire every 5 ms beats on the GUI thread during a person's whole visit (benchmarks.visit). What is
late was blocked, by work of the GUI thread itself or by waiting for a core or for Python's lock. The two are told
apart, because only the first is the same on a machine that has other things to do. Each measurement is a process of
its own.
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

from benchmarks.beats import BEAT_MS
from benchmarks.visit import heartbeat

PROJECT = Path(__file__).resolve().parent.parent
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


def start(folder: Path) -> Found:
    """Seconds from just before this process was started to the window on screen."""
    from PySide6.QtCore import QTimer
    from PySide6.QtGui import QPaintEvent
    from PySide6.QtWidgets import QApplication

    from gui import __main__ as program
    from gui.main_window import MainWindow

    drawn: list[float] = []

    class Timed(MainWindow):
        """The window, which leaves once everything on it was painted."""

        def paintEvent(self, event: QPaintEvent) -> None:
            """Paint; children follow in the same go, then the timer fires."""
            super().paintEvent(event)
            QTimer.singleShot(0, lambda: drawn.append(time.time()))
            QTimer.singleShot(0, self.close)

    program.MainWindow = Timed  # type: ignore[attr-defined]
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
             f"Python {platform.python_version()}, Qt platform {os.environ.get('QT_QPA_PLATFORM', 'default')}.",
             "Own: what the GUI thread computed; core: what it waited for one; lock: what the engine's thread computed "
             "while the GUI thread waited for Python's lock. The gap is the one with most of own and lock.", "",
             "| phase | seconds | most own in any gap | gap | own | core | lock | gaps above 50 ms | time in them |",
             "|---|---|---|---|---|---|---|---|---|"]
    for name, found in beats["phases"].items():
        gap = found["gaps"][0] if found["gaps"] else None
        of_gap = [_ms(gap[key]) for key in ("gap", "own", "core", "lock")] if gap else ["-"] * 4
        lines.append(f"| {name} | {found['seconds']:.1f} | {_ms(found['most_own'])} | {' | '.join(of_gap)} | "
                     f"{found['late']} | {_ms(found['late_seconds'])} |")
    lines += ["", "Where threads stood in these gaps (innermost calls, the GUI thread last):"]
    for name, found in beats["phases"].items():
        for gap in found["gaps"]:
            lines += [f"- {name}: {_ms(gap['gap'])}, own {_ms(gap['own'])}, core {_ms(gap['core'])}, lock "
                      f"{_ms(gap['lock'])}", *(f"    - {thread}" for thread in gap["threads"])]
    return [*lines, "", f"From the start of Python to the drawn window: median {statistics.median(starts):.2f} s, "
                        f"slowest {max(starts):.2f} s of {len(starts)} starts."]


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


if __name__ == "__main__":
    sys.exit(main())
