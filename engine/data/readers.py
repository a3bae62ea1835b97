"""The three kinds of data files, each read piece by piece and never whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engine.data.classes import are_numbers
from engine.data.labels import MOST_LABEL_BYTES, check_labels
from engine.errors import DatasetError
from engine.files.pictures import load_picture, pictures_in
from engine.quarantine.client import READER
from engine.quarantine.wire import Array, BrokenWireError, Spec, spec_of

ReadSlice = Callable[[int, int], Array]



class Reader(Protocol):
    """A data file: its shape and labels at once, its images by slices in rising order.

    Attributes:
        block: images that are unpacked together, whatever part of them is asked for.
    """

    format: str
    block: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    labels: Array

    def open(self) -> AbstractContextManager[ReadSlice]:
        """Give a function that reads images start to stop - 1, as stored."""
        ...


class _ArrayFile:
    """Two arrays in one file, images and labels, which the reader's process reads."""

    format = ""
    _kind = ""

    def __init__(self, path: Path) -> None:
        self.path = path

        def described(found: Any, arrays: list[Array]) -> tuple[Spec, int, Array]:
            (labels,), spec, block = arrays, spec_of(found["data"]), found["block"]
            if type(block) is not int or block < 1:
                raise BrokenWireError("no block")
            return spec, block, labels

        (self.dtype, self.shape), self.block, self.labels = READER.ask(
            path, f"describe {self._kind}", {}, described, most=MOST_LABEL_BYTES, error=DatasetError)
        check_labels(self.labels.shape, self.labels.dtype, self.shape, path)

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
        self.format = "folder"
        self.folders = sub_folders(self.path)
        listed = labelled_pictures(self.path)
        if not listed:
            raise DatasetError(f"{self.path}: holds no sub-folders with pictures. Sort the pictures into one "
                               "sub-folder a label, named by the label's number (0, 1, ...).")
        self.files = [p for p, _ in listed]
        self._stamps = [stamp(p) for p in self.files]
        self.labels = np.array([number for _, number in listed], np.int64)
        self.names = [file.parent.name for file in self.files]
        first = load_picture(self.files[0], self.input_shape)
        self.input_shape = first.shape[0], first.shape[1], first.shape[2]
        self.shape, self.dtype, self.block = (len(listed), *first.shape), np.dtype(np.uint8), 1

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        yield lambda start, stop: np.stack([self._picture(i) for i in range(start, stop)])

    def _picture(self, number: int) -> Array:
        path = self.files[number]
        picture = load_picture(path, self.input_shape)
        if stamp(path) != self._stamps[number]:
            raise DatasetError(f"{path}: was changed or replaced while it was in use. Open its folder again.")
        return picture


def labelled_pictures(folder: Path) -> list[tuple[Path, int]]:
    """The pictures in a folder's sub-folders with their labels, in the order of a data set; none are read."""
    folders = sub_folders(folder)
    numbers = [int(name) for name in folders] if are_numbers(folders) else list(range(len(folders)))
    return [(p, number) for name, number in zip(folders, numbers, strict=True) for p in pictures_in(folder / name)]


def sub_folders(folder: Path) -> tuple[str, ...]:
    """Names of a folder's sub-folders in the order of text, as Keras and PyTorch count them."""
    return tuple(sorted(p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")))


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written: its size and the time of its last change in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns
