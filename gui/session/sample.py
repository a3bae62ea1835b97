"""Where the sample that comes with the program is."""

from __future__ import annotations

import sys
from pathlib import Path

from gui.inputs import Role

# PyInstaller unpacks what the program brings to the folder that sys._MEIPASS names.
FOLDER = Path(getattr(sys, "_MEIPASS", Path(__file__).resolve().parent.parent)) / "data" / "sample"
INPUTS: tuple[tuple[Role, Path], ...] = (
    ("model", FOLDER / "badnet.keras"), ("validation", FOLDER / "clean_validation.h5"),
    ("test", FOLDER / "clean_test.h5"), ("poisoned", FOLDER / "poisoned_test.h5"))
NAMES = FOLDER / "names.txt"
PICTURES = FOLDER / "images"
