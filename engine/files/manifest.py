"""What this program wrote: each folder's manifest.json names the files beside it with their SHA-256, and the folders.

Only a folder in which everything is recorded so is ever replaced or removed. A file that was edited since is a
person's, and so is all in a folder without a manifest, as version 0.1.0 wrote them: finished results, too, that lie
in a folder of a person's, or in another result.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from engine.files.existing import is_file
from engine.files.fingerprint import sha256_of
from engine.files.regular import read_regular

MANIFEST = "manifest.json"
_SCHEMA = 1
_MOST_BYTES, _MOST_ENTRIES = 1 << 20, 10_000
# What is larger counts as a person's: a hostile file that is all hole has terabytes, and to read them takes hours.
_MOST_RECORDED_BYTES = 8 << 30


def record(folder: Path) -> None:
    """Write the manifests of a folder and of those inside it.

    Raises:
        OSError: a file can't be read, or the manifest not be written.
    """
    files, folders = {}, []
    for entry in sorted(folder.iterdir()):
        if entry.is_dir():
            record(entry)
            folders.append(entry.name)
        elif entry.name != MANIFEST:
            files[entry.name] = sha256_of([entry])
    document = {"schema": _SCHEMA, "written_by": "GoodNet", "files": files, "folders": folders}
    (folder / MANIFEST).write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def first_foreign(folder: Path) -> Path | None:
    """The first thing in a folder that this program didn't write there or that was changed since; None: nothing is.

    Links, and folders inside without a manifest, are never this program's.

    Raises:
        OSError: the folder can't be read.
    """
    recorded = _recorded(folder / MANIFEST)
    # Earlier versions recorded no folders: whatever has a manifest counts as theirs.
    files, folders = (recorded["files"], recorded.get("folders")) if recorded else ({}, [])
    with os.scandir(folder) as listed:
        names = sorted(entry.name for entry in itertools.islice(listed, _MOST_ENTRIES + 1))
    if len(names) > _MOST_ENTRIES:
        return folder / names[0]  # no result has as many files
    for entry in map(folder.joinpath, names):
        if entry.is_dir() and not entry.is_symlink() and (entry / MANIFEST).exists() \
                and (folders is None or entry.name in folders):
            inside = first_foreign(entry)
            if inside:
                return inside
        elif recorded is None or entry.is_symlink() or not _is_recorded(entry, files):
            return entry
    return None


def first_changed(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of some files that isn't as the folder's manifest recorded it; what isn't recorded or isn't there
    can't be told.

    Raises:
        OSError: a file can't be read.
    """
    recorded = _recorded(folder / MANIFEST)
    files = recorded["files"] if recorded else {}
    there = (folder / name for name in names if name in files and is_file(folder / name))
    return next((path for path in there if not _is_as(path, files[path.name])), None)


def is_recorded(folder: Path, name: str) -> bool:
    """Whether the folder's manifest says what a file of it was when it was saved."""
    recorded = _recorded(folder / MANIFEST)
    return recorded is not None and name in recorded["files"]


def first_missing(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of some files that the folder's manifest recorded and that isn't there."""
    recorded = _recorded(folder / MANIFEST)
    files = recorded["files"] if recorded else {}
    return next((folder / name for name in names if name in files and not is_file(folder / name)), None)


def _is_recorded(path: Path, recorded: dict[str, Any]) -> bool:
    try:
        return path.name == MANIFEST or (path.name in recorded and _is_as(path, recorded[path.name]))
    except OSError:
        return False


def _is_as(path: Path, recorded: Any) -> bool:
    return path.stat().st_size <= _MOST_RECORDED_BYTES and sha256_of([path]) == recorded


def _recorded(manifest: Path) -> dict[str, Any] | None:
    """A folder's manifest, with "files" and perhaps "folders"; None where there is none or it isn't this program's."""
    try:
        found = json.loads(read_regular(manifest, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return None
    ours = isinstance(found, dict) and found.get("written_by") == "GoodNet" and isinstance(found.get("files"), dict) \
        and isinstance(found.get("folders", []), list)
    return found if ours else None
