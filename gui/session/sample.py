"""Where the sample that comes with the program is."""

from __future__ import annotations

from pathlib import Path

from engine.places import program_folder
from gui.session.chosen import Role

FOLDER = program_folder() / "data" / "sample"
INPUTS: tuple[tuple[Role, Path], ...] = (
    ("model", FOLDER / "badnet.keras"), ("validation", FOLDER / "clean_validation.h5"),
    ("test", FOLDER / "clean_test.h5"), ("poisoned", FOLDER / "poisoned_test.h5"))
NAMES = FOLDER / "names.txt"
PICTURES = FOLDER / "images"
