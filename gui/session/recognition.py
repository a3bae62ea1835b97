"""What files and folders that a person drops, names or picks again are, and which role they should take."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from PySide6.QtCore import QMimeData

from engine.data.classes import is_class_list
from engine.data.sources.kinds import parts_of
from engine.data.sources.listings import table_in
from engine.errors import EngineError, SeveralOutputs
from engine.files.existing import is_file, is_folder
from engine.files.pictures import SUFFIXES, has_pictures
from engine.goodnets.saved import pair_in
from engine.looking.inspection import inspect
from engine.models.architecture import ModelDescription
from engine.records.examination import FILE
from engine.records.project import SUFFIX
from gui.session.chosen import ROLE_NAMES, Role

Kind = Literal["model", "data", "goodnet", "run", "examination", "pictures", "order", "names", "project"]
_KINDS_BY_SUFFIX: dict[str, Kind] = {".json": "order", ".txt": "names", SUFFIX: "project"}


@dataclass(frozen=True)
class Found:
    """What one path is.

    Attributes:
        labels: the number of different labels of a data set; error: why it is nothing.
        part_of: the folder that was opened, where this is one of the data sets in it.
    """

    path: Path
    kind: Kind | None
    labels: int = 0
    error: EngineError | None = None
    part_of: Path | None = None


def local_paths(mime: QMimeData) -> list[Path]:
    """The files and folders that a drag or the clipboard brings; links into the web are left out."""
    return [Path(url.toLocalFile()) for url in mime.urls() if url.isLocalFile()]


def sets_in(path: Path) -> list[Path]:
    """What is opened of a path: of a folder with train, val and test inside, val (without one, train) and test."""
    parts = _parts_of(path)
    clean = parts.get("validation") or parts.get("train")
    return [part for part in (clean, parts.get("test")) if part] or [path]


def part_for(role: Role, path: Path) -> Path:
    """Of a folder with train, val and test inside, the one for a role; else the path itself. Lists a folder, so it is
    for a worker's thread."""
    return _parts_of(path).get(role, path)


def part_taken(folder: Path, taken: Iterable[tuple[Role, Path]]) -> str:
    """A sentence on what was taken of a folder that holds several data sets."""
    told = " and ".join(f"{path.name} as {ROLE_NAMES[role].lower()}" for role, path in taken)
    return f"{folder.name} holds several data sets: took {told}."


def _parts_of(path: Path) -> dict[str, Path]:
    try:
        return parts_of(path) if is_folder(path) else {}
    except (EngineError, OSError):
        return {}  # opening says what is wrong


def look_at(path: Path) -> Found:
    """Find out what a path is. Reads the file, so it is for the worker's thread."""
    if path.suffix.lower() in SUFFIXES and not is_folder(path):
        return Found(path, "pictures")
    kind = _KINDS_BY_SUFFIX.get(path.suffix.lower())
    if kind and is_file(path):
        # A JSON list of words names labels, one of numbers orders channels.
        return Found(path, "names" if kind == "order" and is_class_list(path) else kind)
    if is_folder(path):
        if is_file(pair_in(path) / "b_prime.keras"):
            return Found(path, "goodnet")
        if is_file(path / "run.json"):
            return Found(path, "run")
        if is_file(path / FILE):
            return Found(path, "examination")
    pictures = False
    try:
        pictures = is_folder(path) and has_pictures(path)
        if pictures and table_in(path) is None:
            return Found(path, "pictures")
        found = inspect(path)
    except SeveralOutputs:
        return Found(path, "model")  # which of them is asked when it is read
    except EngineError as error:
        return Found(path, "pictures") if pictures else Found(path, None, error=error)
    except OSError as error:
        return Found(path, None, error=EngineError(f"{path}: can't be read ({error.strerror or error}). Check its "
                                                   "permissions, or choose another folder."))
    if isinstance(found, ModelDescription):
        return Found(path, "goodnet" if is_one_file_goodnet(found) else "model")
    return Found(path, "data", found.labels)


def is_one_file_goodnet(found: ModelDescription) -> bool:
    """Whether a model is a pair in one file, rather than a network to prune."""
    return any(layer.name.startswith("b_prime/") for layer in found.layers)


def role_for(found: Found, taken: Iterable[Role]) -> Role | None:
    """The role a data set should take, or None when a person must say.

    A set with one single label is poisoned: its label is the attacker's target. So is one that is called so, if it has
    several targets. A clean set takes the free role its name speaks of, else the first free one of validation and test.
    """
    if found.labels == 1 or "poison" in found.path.stem.lower():
        return "poisoned"
    free = [role for role in ("validation", "test") if role not in set(taken)]
    name = found.path.stem.lower()
    validation = "valid" in name or not {"val", "dev"}.isdisjoint(re.split("[^a-z]+", name))
    speaks: Role | None = "test" if "test" in name else "validation" if validation else None
    if speaks:
        return speaks if speaks in free else None
    return "validation" if "validation" in free else "test" if "test" in free else None
