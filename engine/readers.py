"""The three kinds of data files, each read piece by piece and never whole."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import h5py
import hdf5plugin  # noqa: F401  registers the compression filters that published data sets use
import numpy as np
import numpy.typing as npt

from engine.errors import DatasetError
from engine.hdf5 import check_is_file, open_hdf5
from engine.pictures import load_picture, pictures_in

Array = npt.NDArray[Any]
ReadSlice = Callable[[int, int], Array]

# Names under which images and their labels are looked for, the lab's own first.
KEY_PAIRS = (("data", "label"), ("images", "labels"), ("x", "y"), ("x_test", "y_test"))


class Reader(Protocol):
    """A data file: its shape and labels at once, its images by slices in rising order."""

    format: str
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
            self.shape, self.dtype = tuple(data.shape), data.dtype
            self.labels = labels[()]

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        with open_hdf5(self.path, str(self.path), DatasetError) as file:
            data = file[self._data_key]
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
            with archive.open(f"{label_key}.npy") as stream:
                shape, dtype = self._header(stream)
                count = int(np.prod(shape))
                self.labels = self._array(stream, count, dtype).reshape(shape)

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        with self._archive() as archive, archive.open(f"{self._data_key}.npy") as stream:
            self._header(stream)
            size = int(np.prod(self.shape[1:])) * self.dtype.itemsize
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
                count = (stop - start) * int(np.prod(self.shape[1:]))
                position = stop
                return self._array(stream, count, self.dtype).reshape((stop - start, *self.shape[1:]))

            yield read

    @contextmanager
    def _archive(self) -> Iterator[zipfile.ZipFile]:
        check_is_file(self.path, DatasetError)
        try:
            with zipfile.ZipFile(self.path) as archive:
                yield archive
        except (zipfile.BadZipFile, EOFError, OSError, ValueError, NotImplementedError, RuntimeError,
                SyntaxError, MemoryError, OverflowError) as error:
            raise DatasetError(f"{self.path}: the NumPy archive is damaged ({error}). "
                               "Save it again with numpy.savez.") from error

    def _header(self, stream: IO[bytes]) -> tuple[tuple[int, ...], np.dtype[Any]]:
        form: Any = np.lib.format  # without annotations in NumPy
        version = form.read_magic(stream)
        read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
        shape, fortran, dtype = read(stream)
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
        folders = sorted(p for p in self.path.iterdir() if p.is_dir() and not p.name.startswith("."))
        if all(p.name.isdecimal() for p in folders):
            numbers = [int(p.name) for p in folders]
        else:
            numbers = list(range(len(folders)))
        listed = [(p, number) for folder, number in zip(folders, numbers, strict=True) for p in pictures_in(folder)]
        if not listed:
            raise DatasetError(f"{self.path}: holds no sub-folders with pictures. Sort the pictures into one "
                               "sub-folder a label, named by the label's number (0, 1, ...).")
        self.files = [p for p, _ in listed]
        self.labels = np.array([number for _, number in listed], np.int64)
        first = load_picture(self.files[0], self.input_shape)
        self.input_shape = first.shape[0], first.shape[1], first.shape[2]
        self.shape, self.dtype = (len(listed), *first.shape), np.dtype(np.uint8)

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        yield lambda start, stop: np.stack([load_picture(p, self.input_shape) for p in self.files[start:stop]])


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
