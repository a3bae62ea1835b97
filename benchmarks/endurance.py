"""`python -m benchmarks.endurance`: many runs in one window; memory, threads and files left behind."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
from pathlib import Path

import h5py

from benchmarks.driving import until

PROJECT = Path(__file__).resolve().parent.parent
SAMPLE = PROJECT / "data" / "sample"
IMAGES = 96
WARM = 10


def main() -> None:
    """Run and print resident memory, threads and open files after the tenth and after each further fiftieth run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--guard", choices=["none", "transplant", "margin"], default="margin")
    options = parser.parse_args()
    from PySide6.QtWidgets import QApplication

    from gui.main_window import MainWindow
    from gui.session.chosen import Role
    from gui.settings import Options, Settings

    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files: dict[Role, Path] = {"model": SAMPLE / "badnet.keras", "validation": _part(folder, "clean_validation"),
                                   "test": _part(folder, "clean_test"), "poisoned": _part(folder, "poisoned_test")}
        _ = QApplication([sys.argv[0]])
        window = MainWindow(Settings(folder / "settings.ini"))
        session = window.session
        window.show()
        session.set_options(Options(guard=options.guard))
        for role, path in files.items():
            window.desk.choosing.open_as(role, path)
        until(lambda: session.idle)
        print(f"{'runs':>5} {'memory, MB':>11} {'threads':>8} {'files':>6}")
        for number in range(1, options.runs + 1):
            window.desk.pruning.start()
            until(lambda: session.idle)
            assert session.run is not None and not session.failure
            if number == WARM or number % 50 == 0:
                print(f"{number:>5} {_memory():>11.0f} {threading.active_count():>8} {_open_files():>6}", flush=True)
        window.close()


def _part(folder: Path, name: str) -> Path:
    with h5py.File(SAMPLE / f"{name}.h5") as whole, h5py.File(folder / f"{name}.h5", "w") as part:
        part["data"], part["label"] = whole["data"][:IMAGES], whole["label"][:IMAGES]
    return folder / f"{name}.h5"


def _memory() -> float:
    """Resident memory now, in MB of 10**6 bytes; Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


if __name__ == "__main__":
    main()
