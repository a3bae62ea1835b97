"""The three kinds of data files, each read piece by piece and never whole."""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import h5py
import hdf5plugin  # noqa: F401  registers the compression filters that published data sets use
import numpy as np
import numpy.typing as npt

from engine.errors import DatasetError, in_short
from engine.files.hdf5 import check_is_file, open_array, open_hdf5
from engine.files.pictures import load_picture, pictures_in

Array = npt.NDArray[Any]
ReadSlice = Callable[[int, int], Array]

_MOST_LABEL_BYTES = 1 << 28
_LONGEST_NUMBER = 9

# Names under which images and their labels are looked for, the lab's own first.
KEY_PAIRS = (("data", "label"), ("images", "labels"), ("x", "y"), ("x_test", "y_test"))


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


@dataclass
class Hdf5Reader:
    """The lab's layout: `data` [N, ...] and `label` [N] or one-hot [N, labels]."""

    path: Path

    def __post_init__(self) -> None:
        self.format = "HDF5"
        with open_hdf5(self.path, str(self.path), DatasetError) as file:
            self._data_key, label_key = find_keys(list(file), self.path)
            data, labels = file[self._data_key], file[label_key]
            if not isinstance(data, h5py.Dataset) or not isinstance(labels, h5py.Dataset):
                raise DatasetError(f"{self.path}: '{self._data_key}' and '{label_key}' were expected to be arrays; "
                                   "found groups. Save the file in the lab's layout.")
            self.shape, self.dtype = tuple(data.shape or ()), data.dtype
            self.block = data.chunks[0] if data.chunks else 1
            check_labels(tuple(labels.shape or ()), labels.dtype, self.shape, self.path)
            self.labels = labels[()]

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        with open_hdf5(self.path, str(self.path), DatasetError) as file:
            data = open_array(file, self._data_key)
            yield lambda start, stop: data[start:stop]


@dataclass
class NpzReader:
    """A NumPy archive with the same two arrays; nothing pickled is read."""

    path: Path

    def __post_init__(self) -> None:
        self.format = "NumPy archive"
        with self._archive() as archive:
            names = [n[:-4] for n in archive.namelist() if n.endswith(".npy")]
            self._data_key, label_key = find_keys(names, self.path)
            with archive.open(f"{self._data_key}.npy") as stream:
                self.shape, self.dtype = self._header(stream)
                self.block = max(self.shape[:1], default=1)
            with archive.open(f"{label_key}.npy") as stream:
                shape, dtype = self._header(stream)
                check_labels(shape, dtype, self.shape, self.path)
                self.labels = self._array(stream, math.prod(shape), dtype).reshape(shape)

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        with self._archive() as archive, archive.open(f"{self._data_key}.npy") as stream:
            self._header(stream)
            values = math.prod(self.shape[1:])
            size = values * self.dtype.itemsize
            position = 0

            def read(start: int, stop: int) -> Array:
                nonlocal position
                if start < position:
                    raise ValueError("a NumPy archive is read in rising order")
                skip = (start - position) * size
                while skip > 0:
                    passed = len(stream.read(min(skip, 1 << 20)))
                    if not passed:
                        raise EOFError("the array ends early")
                    skip -= passed
                position = stop
                return self._array(stream, (stop - start) * values, self.dtype).reshape((stop - start, *self.shape[1:]))

            yield read

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        check_is_file(self.path, DatasetError)
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except (zipfile.BadZipFile, zlib.error, tokenize.TokenError, EOFError, OSError, ValueError, RuntimeError,
                SyntaxError, MemoryError, OverflowError, TypeError, KeyError, IndexError, AttributeError) as error:
            raise DatasetError(f"{self.path}: the NumPy archive is damaged ({in_short(error)}). "
                               "Save it again with numpy.savez.") from error

    def _header(self, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
        form: Any = np.lib.format  # without annotations in NumPy
        version = form.read_magic(stream)
        read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        if any(n < 0 for n in shape):
            raise ValueError(f"an array of shape {shape}")
        if fortran and len(shape) > 1:
            raise DatasetError(f"{self.path}: its array is stored by columns, which can't be read in pieces. "
                               "Save numpy.ascontiguousarray(array) instead.")
        if dtype.hasobject:
            raise DatasetError(f"{self.path}: holds pickled objects, which may carry program code; refused. "
                               "Save plain number arrays.")
        return tuple(shape), dtype

    @staticmethod
    def _array(stream: IO[bytes], count: int, dtype: np.dtype[Any]) -> Array:
        wanted = count * dtype.itemsize
        content = stream.read(wanted)
        if len(content) != wanted:
            raise EOFError(f"{len(content):,} of {wanted:,} bytes")
        return np.frombuffer(content, dtype)


@dataclass
class FolderReader:
    """A folder of pictures with one sub-folder a label, each fitted to the network's input.

    Sub-folders named by numbers are those labels; other names count 0, 1, ... in alphabetical order.
    """

    path: Path
    input_shape: tuple[int | None, int | None, int]

    def __post_init__(self) -> None:
        self.format = "folder"
        listed = labelled_pictures(self.path)
        if not listed:
            raise DatasetError(f"{self.path}: holds no sub-folders with pictures. Sort the pictures into one "
                               "sub-folder a label, named by the label's number (0, 1, ...).")
        self.files = [p for p, _ in listed]
        self._stamps = [stamp(p) for p in self.files]
        self.labels = np.array([number for _, number in listed], np.int64)
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
    folders = sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))
    if all(p.name.isdecimal() and len(p.name) <= _LONGEST_NUMBER for p in folders):
        numbers = [int(p.name) for p in folders]
    else:
        numbers = list(range(len(folders)))
    return [(p, number) for inside, number in zip(folders, numbers, strict=True) for p in pictures_in(inside)]


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written: its size and the time of its last change in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def check_labels(shape: tuple[int, ...], dtype: np.dtype[Any], images: tuple[int, ...], path: Path) -> None:
    """Look at labels before they are read.

    Raises:
        DatasetError: they aren't numbers, or not one row an image, or would fill the memory.
    """
    if dtype.kind not in "uifb":
        raise DatasetError(f"{path}: its labels are stored as {dtype}; numbers were expected.")
    if shape[:1] != images[:1]:
        raise DatasetError(f"{path}: has {images[0] if images else 'no'} images but labels of shape {shape}; "
                           "one label an image was expected.")
    if math.prod(shape) * dtype.itemsize > _MOST_LABEL_BYTES:
        raise DatasetError(f"{path}: its labels have the shape {shape}, more than memory should hold. "
                           "Save one label number an image.")


def find_keys(found: list[str], path: Path) -> tuple[str, str]:
    """Names of the images' and the labels' array among those a file has.

    Raises:
        DatasetError: there is no known pair.
    """
    for pair in KEY_PAIRS:
        if set(pair) <= set(found):
            return pair
    raise DatasetError(f"{path}: the arrays 'data' and 'label' were expected; found "
                       f"{', '.join(sorted(found)[:8]) or 'nothing'}. Choose a data set in the lab's layout.")
