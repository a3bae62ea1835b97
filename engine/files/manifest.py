"""What this program wrote: each folder's manifest.json names the files beside it with their SHA-256.

Only a folder in which every file is recorded so is ever replaced or removed. A file that was edited since is a
person's, and so is every file of a folder without a manifest, as version 0.1.0 wrote them.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.files.fingerprint import sha256_of
from engine.files.regular import read_regular

MANIFEST = "manifest.json"
_SCHEMA = 1
_MOST_BYTES, _MOST_ENTRIES = 1 << 20, 10_000


def record(folder: Path) -> None:
    """Write the manifests of a folder and of those inside it.

    Raises:
        OSError: a file can't be read, or the manifest not be written.
    """
    files = {}
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            record(entry)
        elif entry.name != MANIFEST:
            files[entry.name] = sha256_of([entry])
    document = {"schema": _SCHEMA, "written_by": "GoodNet", "files": files}
    (folder / MANIFEST).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def first_foreign(folder: Path) -> Path | None:
    """The first thing in a folder that this program didn't write there or that was changed since; None: nothing is.

    Links, and folders inside without a manifest, are never this program's.

    Raises:
        OSError: the folder can't be read.
    """
    recorded = _recorded(folder / MANIFEST)
    with os.scandir(folder) as listed:
        names = sorted(entry.name for entry in itertools.islice(listed, _MOST_ENTRIES + 1))
    if len(names) > _MOST_ENTRIES:
        return folder / names[0]  # no result has as many files
    for entry in map(folder.joinpath, names):
        if entry.is_dir() and not entry.is_symlink() and (entry / MANIFEST).exists():
            inside = first_foreign(entry)
            if inside:
                return inside
        elif recorded is None or entry.is_symlink() or not _is_recorded(entry, recorded):
            return entry
    return None


def first_changed(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of some files that isn't as the folder's manifest recorded it; what isn't recorded can't be told.

    Raises:
        OSError: a file can't be read.
    """
    recorded = _recorded(folder / MANIFEST) or {}
    return next((folder / name for name in names
                 if name in recorded and recorded[name] != sha256_of([folder / name])), None)


def _is_recorded(path: Path, recorded: dict[str, Any]) -> bool:
    try:
        return path.name == MANIFEST or (path.name in recorded and recorded[path.name] == sha256_of([path]))
    except OSError:
        return False


def _recorded(manifest: Path) -> dict[str, Any] | None:
    """What a folder's manifest names; None where there is none or it isn't this program's."""
    try:
        document = json.loads(read_regular(manifest, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    files = document.get("files") if isinstance(document, dict) and document.get("written_by") == "GoodNet" else None
    return files if isinstance(files, dict) else None
