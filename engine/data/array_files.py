"""Data sets in HDF5 files and NumPy archives, parsed. Runs in the reader's process only, see engine.quarantine.

Answers are JSON values and arrays; a stream is sent [start, stop] and gives these images, as stored.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import h5py
import numpy as np
import numpy.typing as npt

from engine.data.labels import RECONSTRUCTED, check_labels, coded
from engine.errors import DatasetError, in_short
from engine.files.existing import check_is_file, kind_of
from engine.files.parsing.hdf5 import check_heaps, open_array, open_hdf5
from engine.files.parsing.hdf5_blocks import BlockChecker
from engine.quarantine.wire import is_shape

Array = npt.NDArray[Any]
Rows = Generator[Array | None, list[int], None]

# An entry of a ZIP archive's list of members takes 46 bytes and its name.
_MOST_MEMBERS, _MOST_LIST_BYTES = 4096, 1 << 20
_WORDS_AT_ONCE = 4096
# Names under which images and their labels are looked for, the lab's own first.
KEY_PAIRS = (("data", "label"), ("images", "labels"), ("x", "y"), ("x_test", "y_test"), ("x_val", "y_val"),
             ("x_valid", "y_valid"), ("x_train", "y_train"), ("data", "labels"), ("image", "label"))


def describe_hdf5(path: Path) -> tuple[Any, list[Array]]:
    """The lab's layout: `data` [N, ...] and `label` [N] or one-hot [N, labels].

    Returns:
        {"data": the images' type and shape, "block": how many are unpacked together, "reconstructed": whether their
        trigger was computed from a network, "training": whether images to train with are left aside, "names": of labels
        that are words all there are}, and the labels as stored, of words their places among the names.
    Raises:
        DatasetError: it isn't HDF5, or holds no such arrays.
    """
    check_is_file(path, DatasetError)
    with path.open("rb") as stream:
        kind = kind_of(stream.read(8))
    if kind != "an HDF5 file" and not h5py.is_hdf5(path):  # one behind another program's block says so
        raise DatasetError(f"{path}: is no data set, it is {kind}. Choose a data file, such as HDF5 or .npz, or a "
                           "folder with a sub-folder of pictures for each label; copy the file again if it was one.")
    with open_hdf5(path, str(path), DatasetError) as file:
        data_key, label_key = find_keys(list(file), path)
        data, labels = file[data_key], file[label_key]
        if not isinstance(data, h5py.Dataset) or not isinstance(labels, h5py.Dataset):
            raise DatasetError(f"{path}: '{data_key}' and '{label_key}' were expected to be arrays; "
                               "found groups. Save the file in the lab's layout.")
        shape = tuple(data.shape or ())
        _check_numbers(data.dtype, path)
        words = h5py.check_string_dtype(labels.dtype) is not None
        check_labels(tuple(labels.shape or ()), labels.dtype, shape, path, words=words)
        BlockChecker(labels, f"{path}: '{label_key}'", DatasetError).check_all()
        found = {"data": [data.dtype.str, shape], "block": data.chunks[0] if data.chunks else 1,
                 "reconstructed": RECONSTRUCTED in file, "training": leaves_training_images(list(file), data_key)}
        if not words:
            return found, [np.asarray(labels[()])]
        with path.open("rb") as stream:
            check_heaps(stream, str(path), DatasetError)
        names, codes = coded(_words(labels), path)
        return {**found, "names": names}, [codes]


def hdf5_rows(path: Path) -> Rows:
    """A stream of the images that describe_hdf5 describes.

    Raises:
        DatasetError: the file is damaged.
    """
    with open_hdf5(path, str(path), DatasetError) as file:
        key, _ = find_keys(list(file), path)
        data = open_array(file, key)
        blocks = BlockChecker(data, f"{path}: '{key}'", DatasetError)
        rows: Array | None = None
        while True:
            start, stop = yield rows
            blocks.check(start, stop)
            rows = data[start:stop]


def describe_npz(path: Path) -> tuple[Any, list[Array]]:
    """As describe_hdf5, of a NumPy archive with the same two arrays; nothing pickled is read."""
    with _archive(path) as archive:
        members = _members(archive)
        data_key, label_key = find_keys(members, path)
        with archive.open(f"{data_key}.npy") as stream:
            shape, dtype = read_header(stream, path)
        _check_numbers(dtype, path)
        with archive.open(f"{label_key}.npy") as stream:
            label_shape, label_dtype = read_header(stream, path)
            words = label_dtype.kind in "SU"
            check_labels(label_shape, label_dtype, shape, path, words=words)
            labels = _array(stream, label_shape, label_dtype)
        found = {"data": [dtype.str, shape], "block": max(1, *shape[:1]),
                 "training": leaves_training_images(members, data_key)}
        if not words:
            return found, [labels]
        names, codes = coded(labels.reshape(-1).tolist(), path)
        return {**found, "names": names}, [codes]


def _words(labels: h5py.Dataset) -> Iterator[bytes]:
    for start in range(0, len(labels), _WORDS_AT_ONCE):
        yield from labels[start:start + _WORDS_AT_ONCE].reshape(-1).tolist()


def npz_rows(path: Path) -> Rows:
    """A stream of the images that describe_npz describes, in rising order.

    Raises:
        DatasetError: the archive is damaged.
    """
    with _archive(path) as archive:
        name = f"{find_keys(_members(archive), path)[0]}.npy"
        with archive.open(name) as stream:
            shape, dtype = read_header(stream, path)
            rows: Array | None = None
            position = 0
            while True:
                start, stop = yield rows
                _skip(stream, (start - position) * math.prod(shape[1:]) * dtype.itemsize)
                rows, position = _array(stream, (stop - start, *shape[1:]), dtype), stop


def npz_members(path: Path, names: Sequence[str], most: int, said: str, remedy: str) -> tuple[Any, list[Array]]:
    """Some arrays of a NumPy archive, whole.

    Args:
        names: which; most: the bytes that they may have together.
        said, remedy: what to say of a damaged one, and what to do about it.
    Raises:
        DatasetError: the archive is damaged, lacks one, or would unpack to more.
    """
    with _archive(path, said, remedy) as archive:
        missing = sorted(set(names) - set(_members(archive)))
        if missing:
            raise ValueError(f"it lacks '{missing[0]}'")
        arrays: list[Array] = []
        for name in names:
            with archive.open(f"{name}.npy") as stream:
                shape, dtype = read_header(stream, path)
                if dtype.kind not in "biufU":
                    raise ValueError(f"'{name}' is stored as {dtype}")
                most -= math.prod(shape) * dtype.itemsize
                if most < 0:
                    raise ValueError(f"'{name}' has the shape {shape}, more than memory should hold")
                arrays.append(_array(stream, shape, dtype))
        return None, arrays


def find_keys(found: list[str], path: Path) -> tuple[str, str]:
    """Names of the images' and the labels' array among those a file has, in small letters or capitals.

    Raises:
        DatasetError: there is no known pair.
    """
    by_name = {name.lower(): name for name in sorted(found)}  # of "X" and "x" the latter
    for images, labels in KEY_PAIRS:
        if images in by_name and labels in by_name:
            return by_name[images], by_name[labels]
    raise DatasetError(f"{path}: the arrays 'data' and 'label' were expected; found "
                       f"{', '.join(sorted(found)[:8]) or 'nothing'}. Choose a data set in the lab's layout.")


def leaves_training_images(found: Iterable[str], taken: str) -> bool:
    """Whether a file also has images to train with, where `taken` is the array of those to test or validate with."""
    return taken.lower() in ("x_test", "x_val", "x_valid") and {"x_train", "y_train"} <= set(map(str.lower, found))


def _members(archive: zipfile.ZipFile) -> list[str]:
    return [name[:-4] for name in archive.namelist() if name.endswith(".npy")]


def _check_numbers(dtype: np.dtype[Any], path: Path) -> None:
    if dtype.kind not in "uif":
        raise DatasetError(f"{path}: its images are stored as {dtype}; numbers were expected.")


def check_members(path: Path) -> None:
    """Refuse a ZIP archive with an absurd list of members, of each of which Python's reader would make an object.

    Raises:
        zipfile.BadZipFile: it has too many members, too long a list of them, or no list.
        OSError: it can't be read.
    """
    with path.open("rb") as stream:
        # Python's own look at the end, so that what is checked is what is then read.
        end = zipfile._EndRecData(stream)  # type: ignore[attr-defined]
    if end is None:
        raise zipfile.BadZipFile("it has no list of members at its end")
    members, list_bytes = int(end[zipfile._ECD_ENTRIES_TOTAL]), int(end[zipfile._ECD_SIZE])  # type: ignore[attr-defined]
    if members > _MOST_MEMBERS or list_bytes > _MOST_LIST_BYTES:
        raise zipfile.BadZipFile(f"it lists {members:,} members in {list_bytes:,} bytes")


@contextmanager
def _archive(
    path: Path, said: str = "the NumPy archive is damaged", remedy: str = "Save it again with numpy.savez.",
) -> Iterator[zipfile.ZipFile]:
    check_is_file(path, DatasetError)
    try:
        check_members(path)
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError,
            SyntaxError, MemoryError, OverflowError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise DatasetError(f"{path}: {said} ({in_short(error)}). {remedy}") from error


def read_header(stream: IO[bytes], path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and type that a `.npy` declares; the stream stands at its values then.

    Raises:
        ValueError: it isn't one.
        DatasetError: it holds objects, or is stored by columns.
    """
    form: Any = np.lib.format  # without annotations in NumPy
    version = form.read_magic(stream)
    read = form.read_array_header_1_0 if version == (1, 0) else form.read_array_header_2_0
    try:
        shape, fortran, dtype = read(stream)
    except tokenize.TokenError as error:
        raise ValueError(f"its header is no text of NumPy's: {in_short(error)}") from error
    if not is_shape(shape):
        raise ValueError(f"an array of shape {shape}")
    if fortran and len(shape) > 1:
        raise DatasetError(f"{path}: its array is stored by columns, which can't be read in pieces. "
                           "Save numpy.ascontiguousarray(array) instead.")
    if dtype.hasobject:
        raise DatasetError(f"{path}: holds pickled objects, which may carry program code; refused. "
                           "Save plain number arrays.")
    return tuple(shape), dtype


def _skip(stream: IO[bytes], size: int) -> None:
    if size < 0:
        raise ValueError("a NumPy archive is read in rising order")
    while size > 0:
        passed = len(stream.read(min(size, 1 << 20)))
        if not passed:
            raise EOFError("the array ends early")
        size -= passed


def _array(stream: IO[bytes], shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    wanted = math.prod(shape) * dtype.itemsize
    content = stream.read(wanted)
    if len(content) != wanted:
        raise EOFError(f"{len(content):,} of {wanted:,} bytes")
    return np.frombuffer(content, dtype).reshape(shape)
