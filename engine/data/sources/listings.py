"""Which picture files make a data set, and what each is labelled: by sub-folders, or by a table. No picture is read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import numpy as np

from engine.data.classes import are_numbers, few
from engine.data.labels import MOST_LABEL_BYTES, as_name, check_codes
from engine.errors import DatasetError
from engine.files.pictures import MOST_ENTRIES, entries, passed_over_in, passed_over_text, pictures_in
from engine.quarantine.client import READER
from engine.quarantine.wire import Array, BrokenWireError

TABLES = (".csv", ".tsv")


@dataclass(frozen=True, eq=False)
class Listing:
    """A data set's pictures in order.

    Attributes:
        pictures, labels: their files and numbers, int64[N].
        named: their labels as names, where these are names; known_names: all names in the order of text.
        names_are: what such names are called.
        files: all that the set is made of.
        format: what the set is called.
        notes: what was decided in a person's place, a sentence each.
    """

    pictures: list[Path]
    labels: Array
    named: Sequence[str]
    known_names: tuple[str, ...]
    names_are: str
    files: list[Path]
    format: str
    notes: tuple[str, ...] = ()


def by_folders(folder: Path) -> Listing | None:
    """A folder with one sub-folder a label; None where there are no pictures in sub-folders.

    Sub-folders named by numbers are those labels; other names count 0, 1, ... in alphabetical order.

    Raises:
        DatasetError: as labelled_pictures.
        OSError: the folder can't be read.
    """
    names, listed = sub_folders(folder), labelled_pictures(folder)
    if not listed:
        return None
    pictures = [picture for picture, _ in listed]
    return Listing(pictures, np.array([number for _, number in listed], np.int64),
                   [as_name(p.parent.name) for p in pictures], tuple(dict.fromkeys(map(as_name, names))),
                   "sub-folders", pictures, "folder",
                   (*_nested(folder, names), *_passed_over(folder, names), *_unread_table(folder)))


def labelled_pictures(folder: Path) -> list[tuple[Path, int]]:
    """The pictures in a folder's sub-folders with their labels, in the order of a data set; none are read.

    Raises:
        DatasetError: there are too many, or two sub-folders have one number.
    """
    folders = sub_folders(folder)
    found: list[tuple[Path, int]] = []
    numbers = labels_of(folders).tolist()
    first: dict[int, str] = {}
    for name, number in zip(folders, numbers, strict=True):
        if first.setdefault(number, name) != name:
            raise DatasetError(f"{folder}: its sub-folders {first[number]} and {name} both stand for label {number}. "
                               "Put their pictures into one of them, or give the other its own number.")
    for name, number in zip(folders, numbers, strict=True):
        found += [(picture, number) for picture in pictures_in(folder / name)]
        if len(found) > MOST_ENTRIES:
            raise DatasetError(f"{folder}: holds more than {MOST_ENTRIES:,} pictures, more than a set may have. Choose "
                               "a part of them.")
    return found


def sub_folders(folder: Path) -> tuple[str, ...]:
    """Names of a folder's sub-folders in the order of text, as Keras and PyTorch count them.

    Raises:
        DatasetError, OSError: as files.pictures.entries.
    """
    return tuple(sorted(entry.name for entry in entries(folder) if entry.is_dir() and not entry.name.startswith(".")))


def by_table(table: Path) -> Listing:
    """Pictures that a CSV lists by the columns `file` and `label`, named from the table's own folder.

    Raises:
        DatasetError: the table is damaged, or names what isn't there, lies elsewhere or could be several pictures, or
            one picture with two labels.
    """
    def checked(found: Any, arrays: list[Array]) -> tuple[tuple[str, ...], Array, list[str], list[str]]:
        labels, packed = arrays
        names, files = check_codes(found["names"], labels), packed.tobytes().decode("utf-8").split("\0")[:-1]
        if len(files) != len(labels) or not 0 < len(files) <= MOST_ENTRIES or labels.dtype != np.int64:
            raise BrokenWireError("no table")
        return names, labels, files, [as_name(part) for part in found["parts"]]

    names, codes, files, parts = READER.ask(table, "describe csv", {}, checked, most=MOST_LABEL_BYTES,
                                            error=DatasetError)
    pictures, first = _located(table, files), dict[Path, int]()
    for picture, code in zip(pictures, codes.tolist(), strict=True):
        other = first.setdefault(picture, code)
        if other != code:
            one, two = (names[other], names[code]) if names else (other, code)
            raise DatasetError(f"{table}: gives {picture.relative_to(table.parent)} the labels {one} and {two}; one "
                               "label a picture was expected. Take the wrong row out of the table.")
    named, labels = decoded(names, codes)
    return Listing(pictures, labels, named, names, "text labels", [table, *pictures], "folder with a table",
                   _parted(table, parts))


def _parted(table: Path, parts: Sequence[str]) -> tuple[str, ...]:
    """A note on a table that says which of its rows belong together: nobody reads that, and all are one set."""
    if not parts:
        return ()
    column, *values = parts
    return (f"The column '{column}' of {table.name} tells {few(values)} apart: all its rows were taken as one set. Put "
            "those that are meant into a table of their own.",)


def table_in(folder: Path) -> Path | None:
    """The one table that says what a folder's pictures are, where they aren't sorted into several sub-folders."""
    tables, folders = [], 0
    for entry in entries(folder):
        if not entry.name.startswith("."):
            folders += entry.is_dir()
            if entry.name.lower().endswith(TABLES) and entry.is_file():
                tables.append(folder / entry.name)
    return tables[0] if len(tables) == 1 and folders <= 1 else None


def labels_of(names: Sequence[str]) -> Array:
    """What names in the order of text stand for as long as nothing says more: int64[len(names)]."""
    return np.array([int(name) for name in names] if are_numbers(names) else range(len(names)), np.int64)


def decoded(names: Sequence[str], codes: Array) -> tuple[list[str], Array]:
    """What the places of labels among names stand for: names and numbers; without names, codes are numbers."""
    return ([names[code] for code in codes.tolist()], labels_of(names)[codes]) if names else ([], codes)


def _located(table: Path, names: Sequence[str]) -> list[Path]:
    """The files that a table names, beside it or in a sub-folder; their ending may be left out."""
    folder, index = table.parent, dict[str, list[Path]]()
    found = []
    for name in names:
        if lies_elsewhere(Path(name)):
            raise _elsewhere(table, name)
        matches = [folder / name]
        if not matches[0].is_file():
            index = index or _index(folder)
            matches = index.get(name, [])
        if not matches:
            raise DatasetError(f"{table}: names {name}, but there is no such picture beside it. Put the table into the "
                               "folder of its pictures.")
        if len(matches) > 1:
            one, other = (match.relative_to(folder).as_posix() for match in matches[:2])
            raise DatasetError(f"{table}: names {name}, which may be {one} or {other}. Write the whole name there, "
                               "with folder and ending.")
        found.append(matches[0])
    inside = os.path.realpath(folder)
    for place in sorted({path.parent for path in found}):
        if not Path(os.path.realpath(place)).is_relative_to(inside):  # a link leads out of it
            raise _elsewhere(table, f"pictures in {place.relative_to(folder).as_posix()}")
    return found


def _elsewhere(table: Path, name: str) -> DatasetError:
    return DatasetError(f"{table}: names {name}, which lies elsewhere; only files in the table's own folder are read. "
                        "Put the table beside the pictures.")


def lies_elsewhere(path: PurePath) -> bool:
    """Whether a name leads out of the folder that it is looked up in: on Windows "/x" and "C:x" do, too."""
    return bool(path.anchor) or ".." in path.parts


def _index(folder: Path) -> dict[str, list[Path]]:
    """Pictures in a folder and its sub-folders by their names, with and without ending."""
    found: dict[str, list[Path]] = {}
    for inside in (folder, *(folder / name for name in sub_folders(folder))):
        for picture in pictures_in(inside):
            found.setdefault(picture.name, []).append(picture)
            found.setdefault(picture.stem, []).append(picture)
    return found


def _nested(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """A note on pictures in folders inside sub-folders, which are no part of the set."""
    counts: dict[str, int] = {}
    for name in names:
        with suppress(OSError, DatasetError):  # what isn't read needn't be readable
            for inner in sub_folders(folder / name):
                counts[f"{name}/{inner}"] = len(pictures_in(folder / name / inner))
    total = sum(counts.values())
    such = next((place for place, count in counts.items() if count), "")
    return (f"Only pictures directly in its sub-folders are read: {total:,} in folders inside these, such as {such}, "
            "are left out.",) if total else ()


def _passed_over(folder: Path, names: Sequence[str]) -> tuple[str, ...]:
    """A note on files in sub-folders that may be pictures and are no part of the set."""
    others = [other for name in names for other in passed_over_in(folder / name)]
    return (passed_over_text(folder, others),) if others else ()


def _unread_table(folder: Path) -> tuple[str, ...]:
    """A note on a table beside sub-folders, which tell the labels."""
    tables = sorted(entry.name for entry in entries(folder)
                    if entry.name.lower().endswith(TABLES) and not entry.name.startswith(".") and entry.is_file())
    return (f"Its sub-folders tell the labels; {tables[0]} beside them wasn't read. If that table tells them, choose "
            "it in place of the folder.",) if tables else ()
