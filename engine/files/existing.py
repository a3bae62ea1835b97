"""Whether there is a file at all, asked before anything is done with it."""

from __future__ import annotations

import os
from pathlib import Path

from engine.errors import EngineError, in_short


def check_is_file(path: Path, error: type[EngineError], name: str | None = None) -> None:
    """Raises:
    EngineError: of class `error`, when `path` isn't an existing, readable, non-empty file.
    """
    name = name or str(path)
    try:
        if not path.exists():
            raise error(f"{name}: there is no such file. Check the name.")
        if path.is_dir():
            raise error(f"{name}: is a folder; a file was expected.")
        if not path.is_file():
            raise error(f"{name}: is a device or pipe; a file was expected.")
        if not os.access(path, os.R_OK):
            raise error(f"{name}: may not be read by this user. Change its permissions or copy it.")
        if path.stat().st_size == 0:
            raise error(f"{name}: is empty (0 bytes). Copy it again from its source.")
    except (OSError, ValueError) as found:  # a name too long for the file system, or with a null character
        raise error(f"{name}: can't be read ({in_short(found)}). Check the name.") from found
