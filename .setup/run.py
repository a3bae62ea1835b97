"""What `make run` does: open the window, or without a screen defend the sample and print what came of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from qt_packages import ensure

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE = Path("data", "sample")
OUT = Path("runs", "sample")


def has_screen() -> bool:
    """Whether a window could be shown here."""
    if sys.platform in ("win32", "darwin"):
        return True
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def main() -> int:
    """Run the window or the sample; the exit status is theirs."""
    if has_screen() and (PROJECT / "gui" / "__main__.py").is_file():
        parts = ["xcb"] if os.environ.get("DISPLAY") else []
        if ensure(parts):
            return subprocess.run([sys.executable, "-m", "gui"], cwd=PROJECT).returncode
    running = "Running" if has_screen() else "No screen: running"
    print(f"{running} the pruning defence on {SAMPLE} without a window.\n", flush=True)
    command = [sys.executable, "-m", "engine", "prune", str(SAMPLE / "badnet.keras"),
               "--clean", str(SAMPLE / "clean_validation.h5"), "--test", str(SAMPLE / "clean_test.h5"),
               "--poisoned", str(SAMPLE / "poisoned_test.h5"), "--out", str(OUT)]
    return subprocess.run(command, cwd=PROJECT).returncode


if __name__ == "__main__":
    sys.exit(main())
