"""Where the files are that the program brings along, in the source tree or in a packed program."""

from __future__ import annotations

import sys
from pathlib import Path


def resource(relative: str) -> Path:
    """A file or folder of resources/ by its name with forward slashes, such as "icons/play.svg"."""
    return program_folder() / "resources" / relative


def program_folder() -> Path:
    """The folder that holds resources/ and data/, in the source tree or in a packed program."""
    # PyInstaller unpacks what the program brings to the folder that sys._MEIPASS names.
    return Path(getattr(sys, "_MEIPASS", Path(__file__).resolve().parent.parent))
