"""Which reader takes a path, what files a data set is made of, and the data sets that a folder holds."""

from __future__ import annotations

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.assessment import enumerated
from engine.data.labels import as_name
from engine.data.sources.beginnings import kind_of_data
from engine.data.sources.listings import TABLES, Listing, by_folders, by_table, table_in
from engine.data.sources.packed import PackedReader, Shape, tell_together
from engine.data.sources.readers import (
    CifarReader,
    Hdf5Reader,
    MatReader,
    NpzReader,
    PairReader,
    PicturesReader,
    Reader,
)
from engine.data.sources.shards import PiecesReader, is_pattern, pieces, sets_in_pieces, within_memory
from engine.errors import DatasetError
from engine.files.existing import is_folder
from engine.files.fingerprint import sha256_of
from engine.files.pictures import entries, has_pictures
from engine.progress import NEVER_CANCELLED, CancelToken

# Endings of data files, for file dialogs.
SUFFIXES = (".h5", ".hdf5", ".npz", ".npy", ".mat", ".parquet", ".tfrecord", ".tfrecords", ".tar", ".csv", ".bin",
            ".gz")
_ALONE = tuple(ending for ending in SUFFIXES if ending not in TABLES)
# So many of a folder's files are named.
_NAMED = 4
# What people call the parts of a data set.
_PARTS = {**dict.fromkeys(("train", "training"), "train"), **dict.fromkeys(("test", "testing"), "test"),
          **dict.fromkeys(("val", "valid", "validation", "dev"), "validation")}
# What stands for images in a file's name, and what then stands for labels in the name of the other one.
_BESIDE = (("images", "labels"), ("image", "label"), ("data", "labels"), ("data", "label"), ("x", "y"), ("X", "y"),
           ("X", "Y"))

_BETWEEN_WORDS = re.compile(r"[-_.]")


def reader_of(path: Path, input_shape: Shape) -> Reader:
    """The reader of a data file or folder.

    Args:
        input_shape: H, W, C that pictures are fitted to; None keeps a side as it is.
    Raises:
        DatasetError: it is no data set, or holds several.
        OSError: it can't be read.
    """
    files = _pieces_of(path)
    if files:
        first = reader_of(files[0], input_shape)
        # Packed pictures take any size, so those of all pieces are fitted to the first one's.
        shape = (first.shape[1], first.shape[2], first.shape[3]) if isinstance(first, PackedReader) else input_shape
        readers = within_memory(itertools.chain([first], (reader_of(file, shape) for file in files[1:])))
        tell_together(readers, input_shape)
        return PiecesReader(readers)
    listing = _listing_of(path)
    if listing:
        return PicturesReader(listing, input_shape)
    kind = kind_of_data(path)
    if kind in ("npy", "idx"):
        return PairReader(path, labels_beside(path), kind, "NumPy arrays" if kind == "npy" else "IDX")
    if kind in ("tar", "tfrecord", "parquet"):
        return PackedReader(path, kind, input_shape)
    return {"npz": NpzReader, "cifar": CifarReader, "mat": MatReader, "hdf5": Hdf5Reader}[kind](path)


def files_of(path: Path) -> list[Path]:
    """All files that a data set, or any other file, is made of, in the order in which their hash is taken.

    Raises:
        DatasetError: it is a folder or table that holds no data set.
        OSError: it can't be read.
    """
    files = _pieces_of(path)
    if files:
        return [part for file in files for part in files_of(file)]
    listing = _listing_of(path)
    if listing:
        return listing.files
    return [path, labels_beside(path)] if kind_of_data(path) in ("npy", "idx") else [path]


def sha256_of_set(path: Path, files: Sequence[Path], cancel: CancelToken = NEVER_CANCELLED) -> tuple[str, str]:
    """SHA-256 of a data set's files one after the other and, where sub-folders label pictures, of each one's label.

    Returns:
        It, and what versions that left such labels out took for it; in hexadecimal.
    Raises:
        OSError: one can't be read or isn't a regular file.
        Cancelled: the token was set.
    """
    found = sha256_of(files, cancel)
    if not is_folder(path) or any(
            not file.is_relative_to(path) or len(file.relative_to(path).parts) != 2 for file in files):
        return found, found
    labelled = "\0".join([found, *(as_name(file.parent.name) for file in files)])
    return hashlib.sha256(labelled.encode("utf-8", "surrogateescape")).hexdigest(), found


def parts_of(folder: Path) -> dict[str, Path]:
    """The data sets "train", "validation" and "test" that lie in a folder, as sub-folders or in several files
    each; none where it is one itself. Beside "val", "dev" goes by its own name, as do all of one word and those
    of no use, such as "poisoned".

    Raises:
        DatasetError, OSError: as files.pictures.entries.
    """
    sets = sets_in_pieces(folder)
    if len(sets) > 1:
        return _by_use([(_telling_word(path.name), path) for path in sets])
    found: list[tuple[str, Path]] = []
    for entry in entries(folder):
        if entry.is_dir() and not entry.name.startswith("."):
            word, inside = entry.name.lower(), folder / entry.name
            if _holds_a_set(inside):
                found.append((word, inside))
            elif word in _PARTS or has_pictures(inside):  # a class, whatever it is called
                return {}
    return _by_use(found) if any(word in _PARTS for word, _ in found) else {}


def _telling_word(name: str) -> str:
    """The first word of a name that tells a use; else its first word."""
    words = _BETWEEN_WORDS.split(name.lower())
    return next((word for word in words if word in _PARTS), words[0])


def _by_use(found: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    """Sets by what the words of their names tell; the words that come first in _PARTS go before others."""
    uses = {**_PARTS, "data": "train"}  # CIFAR calls what it trains with just data
    times, order = Counter(word for word, _ in found), list(uses)
    named: dict[str, Path] = {}
    for word, path in sorted(found, key=lambda of: (order.index(of[0]) if of[0] in uses else len(order), of[1])):
        use = uses.get(word, word)
        named[path.name if times[word] > 1 or use in named else use] = path
    return named


def _pieces_of(path: Path) -> list[Path]:
    """The files of a set in several, given as a pattern or as the folder that holds them; none for other sets."""
    if is_pattern(path):
        return pieces(path)
    sets = sets_in_pieces(path) if path.is_dir() else []
    return pieces(sets[0]) if len(sets) == 1 else []


def labels_beside(path: Path) -> Path:
    """The file with the labels of a file with images, found by its name.

    Raises:
        DatasetError: there is none.
    """
    names = list(dict.fromkeys(_names_of_labels(path.name)))
    for name in names:
        if name != path.name and path.with_name(name).is_file():
            return path.with_name(name)
    told = " or ".join(names[:2]) or f"labels{path.suffix}"
    raise DatasetError(f"{path}: holds images without labels; a second file with them was expected beside it, {told}. "
                       "Put it there, or save both as one .npz.")


def _names_of_labels(name: str) -> Iterator[str]:
    for images, labels in _BESIDE:
        changed = re.sub(rf"(?<![A-Za-z]){images}(?![A-Za-z])", labels, name)
        if changed != name:
            changed = changed.replace("idx3", "idx1").replace("idx4", "idx1")
            yield changed
            yield changed.removesuffix(".gz") if changed.endswith(".gz") else f"{changed}.gz"


def _listing_of(path: Path) -> Listing | None:
    """The pictures of a folder or a table; None for another file."""
    if path.is_dir():
        parts = parts_of(path)
        if parts:
            raise DatasetError(_which(path, parts))
        table = table_in(path)
        listing = by_table(table) if table else by_folders(path)
        if listing is None:
            raise DatasetError(_without_pictures(path))
        return listing
    return by_table(path) if path.is_file() and kind_of_data(path) == "csv" else None


def _which(folder: Path, parts: dict[str, Path]) -> str:
    """The question which of several data sets in a folder is meant."""
    names = sorted(path.name for path in parts.values())
    uses = {"validation": "as validation images", "test": "as test images", "train": "for training"}
    told = ", ".join(" ".join(filter(None, (str(parts[part]), uses.get(part))))
                     for part in sorted(parts, key=[*uses, *parts].index))
    return (f"{folder}: holds the data set{'s' if len(names) > 1 else ''} {enumerated(names)}. Choose one of them: "
            f"{told}.")


def _without_pictures(folder: Path) -> str:
    """What is said of a folder without pictures in sub-folders: a file in it may be the data set."""
    files = [] if has_pictures(folder) else _data_files(folder)
    if not files:
        return (f"{folder}: holds no sub-folders with pictures. Sort the pictures into one sub-folder a label, named "
                "by the label's number (0, 1, ...), or put a table beside them, labels.csv with the columns file and "
                "label.")
    named = [*files[:_NAMED], "others"] if files[_NAMED:] else files
    which = "one of them" if files[1:] else "it"
    return (f"{folder}: holds no sub-folders with pictures, but {enumerated(named)}. If {which} is the data set, "
            "choose this file instead of its folder.")


def _data_files(folder: Path) -> list[str]:
    """Names of the files in a folder that may be data sets by their names, without the labels that belong to others."""
    found = sorted(entry.name for entry in entries(folder) if not entry.name.startswith(".") and entry.is_file()
                   and entry.name.lower().endswith((*_ALONE, "-ubyte")))
    labels = {name for file in found for name in _names_of_labels(file)}
    return [name for name in found if name not in labels]


def _holds_a_set(folder: Path) -> bool:
    """Whether a folder has sub-folders or a table, and not only pictures, as a class that is called "test" would."""
    return any(entry.is_dir() or entry.name.lower().endswith(TABLES) for entry in entries(folder))
