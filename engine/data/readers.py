"""The three kinds of data files, each read piece by piece and never whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engine.data.classes import are_numbers
from engine.data.depth import common_depth
from engine.data.labels import MOST_LABEL_BYTES, check_codes, check_labels
from engine.errors import DatasetError
from engine.files.pictures import MOST_ENTRIES, entries, load_picture, pictures_in
from engine.quarantine.client import READER
from engine.quarantine.wire import Array, BrokenWireError, Spec, spec_of

ReadSlice = Callable[[int, int], Array]


class Reader(Protocol):
    """A data file: its shape and labels at once, its images by slices in rising order.

    Attributes:
        block: images that are unpacked together, whatever part of them is asked for.
        labels: numbers; where labels have names, what these stand for unless something says more.
        named: each image's label as a name, where labels have names; empty where they are numbers.
        known_names: all names there are, in the order of text, also those of no image.
        names_are: what they are called, such as "sub-folders".
        files: what it is read from.
        notes: what was decided in a person's place, a sentence each.
    """

    format: str
    block: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    labels: Array
    named: Sequence[str]
    known_names: tuple[str, ...]
    names_are: str
    files: Sequence[Path]
    notes: tuple[str, ...]

    def open(self) -> AbstractContextManager[ReadSlice]:
        """Give a function that reads images start to stop - 1, as stored."""
        ...


class _ArrayFile:
    """Two arrays in one file, images and labels, which the reader's process reads."""

    format, names_are = "", "text labels"
    _kind = ""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: Sequence[Path] = [path]
        self.notes: tuple[str, ...] = ()

        def described(found: Any, arrays: list[Array]) -> tuple[Spec, int, tuple[str, ...], bool, Array]:
            (labels,), spec, block = arrays, spec_of(found["data"]), found["block"]
            if type(block) is not int or block < 1:
                raise BrokenWireError("no block")
            return spec, block, check_codes(found.get("names", []), labels), found.get("reconstructed") is True, labels

        (self.dtype, self.shape), self.block, self.known_names, self.reconstructed, labels = READER.ask(
            path, f"describe {self._kind}", {}, described, most=MOST_LABEL_BYTES, error=DatasetError)
        check_labels(labels.shape, labels.dtype, self.shape, path)
        self.named: Sequence[str] = [self.known_names[code] for code in labels.tolist()] if self.known_names else []
        self.labels: Array = labels_of(self.known_names)[labels] if self.known_names else labels

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        with READER.stream(self.path, f"rows of {self._kind}", {}, error=DatasetError) as read:
            yield lambda start, stop: read((start, stop), (self.dtype, (stop - start, *self.shape[1:])))


class Hdf5Reader(_ArrayFile):
    """The lab's layout: `data` [N, ...] and `label` [N] or one-hot [N, labels]."""

    format, _kind = "HDF5", "hdf5"


class NpzReader(_ArrayFile):
    """A NumPy archive with the same two arrays, read in rising order; nothing pickled is read."""

    format, _kind = "NumPy archive", "npz"


@dataclass
class FolderReader:
    """A folder of pictures with one sub-folder a label, each fitted to the network's input.

    Sub-folders named by numbers are those labels; other names count 0, 1, ... in alphabetical order.
    """

    path: Path
    input_shape: tuple[int | None, int | None, int]

    def __post_init__(self) -> None:
        self.format, self.names_are = "folder", "sub-folders"
        self.known_names = sub_folders(self.path)
        listed = labelled_pictures(self.path)
        if not listed:
            raise DatasetError(f"{self.path}: holds no sub-folders with pictures. Sort the pictures into one "
                               "sub-folder a label, named by the label's number (0, 1, ...).")
        self.files: Sequence[Path] = [p for p, _ in listed]
        self._stamps = [stamp(p) for p in self.files]
        self.labels = np.array([number for _, number in listed], np.int64)
        self.named: Sequence[str] = [file.parent.name for file in self.files]
        self._depth, note = common_depth(self.files)
        self.notes: tuple[str, ...] = (note,) if note else ()
        first = load_picture(self.files[0], self.input_shape, self._depth)
        self.input_shape = first.shape[0], first.shape[1], first.shape[2]
        self.shape, self.dtype, self.block = (len(listed), *first.shape), np.dtype(np.uint8), 1

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        yield lambda start, stop: np.stack([self._picture(i) for i in range(start, stop)])

    def _picture(self, number: int) -> Array:
        path = self.files[number]
        picture = load_picture(path, self.input_shape, self._depth)
        if stamp(path) != self._stamps[number]:
            raise DatasetError(f"{path}: was changed or replaced while it was in use. Open its folder again.")
        return picture


def labelled_pictures(folder: Path) -> list[tuple[Path, int]]:
    """The pictures in a folder's sub-folders with their labels, in the order of a data set; none are read.

    Raises:
        DatasetError: there are too many.
    """
    folders = sub_folders(folder)
    found: list[tuple[Path, int]] = []
    for name, number in zip(folders, labels_of(folders).tolist(), strict=True):
        found += [(picture, number) for picture in pictures_in(folder / name)]
        if len(found) > MOST_ENTRIES:
            raise DatasetError(f"{folder}: holds more than {MOST_ENTRIES:,} pictures, more than a set may have. Choose "
                               "a part of them.")
    return found


def labels_of(names: Sequence[str]) -> Array:
    """What names in the order of text stand for as long as nothing says more: int64[len(names)]."""
    return np.array([int(name) for name in names] if are_numbers(names) else range(len(names)), np.int64)


def sub_folders(folder: Path) -> tuple[str, ...]:
    """Names of a folder's sub-folders in the order of text, as Keras and PyTorch count them."""
    return tuple(sorted(entry.name for entry in entries(folder) if entry.is_dir() and not entry.name.startswith(".")))


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written: its size and the time of its last change in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
