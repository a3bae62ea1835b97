"""A folder for files that are needed for a moment; what a killed program leaves of them, the next one removes."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.files.saving import is_left_behind, locked, named_so

_NAME = re.compile(r"goodnet-([0-9]+)-[0-9a-f]{32}")


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """An empty folder in the system's place for temporary files, removed when the block ends.

    Raises:
        OSError: it can't be made.
    """
    place = Path(tempfile.gettempdir())
    _tidy(place)
    folder = place / f"goodnet-{os.getpid()}-{uuid.uuid4().hex}"
    folder.mkdir(mode=0o700)
    try:
        with locked(folder):
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _tidy(place: Path) -> None:
    """Remove this user's folders whose process is gone."""
    for folder, name in named_so(place, _NAME):
        with suppress(OSError):
            if not folder.is_symlink() and _is_own(folder) and is_left_behind(folder, int(name[1])):
                shutil.rmtree(folder)


def _is_own(folder: Path) -> bool:
    return not hasattr(os, "getuid") or folder.stat().st_uid == os.getuid()
