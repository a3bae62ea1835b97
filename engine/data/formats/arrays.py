"""Arrays of numbers in files of their own: pairs of `.npy`, IDX (MNIST's, also in gzip), CIFAR's binary files."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from engine.data.array_files import Array, Rows, read_header
from engine.data.formats.opening import exactly, opened
from engine.data.labels import MOST_LABEL_BYTES, check_labels, coded
from engine.errors import DatasetError

Answer = tuple[Any, list[Array]]

# Source: "The IDX file format", http://yann.lecun.com/exdb/mnist
_IDX_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_MOST_AXES = 4
# Source: https://www.cs.toronto.edu/~kriz/cifar.html: labels and how many of them there are, then 32 x 32 x 3 values.
_CIFAR_IMAGE = (3, 32, 32)
_CIFAR_KINDS = ((10,), (20, 100))
_RECORDS_AT_ONCE = 1000


@dataclass(frozen=True)
class _Layout:
    """An array in a file: where it begins, and its type and shape; each entry has `gap` bytes of others before it."""

    begin: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    gap: int = 0

    @property
    def entry_bytes(self) -> int:
        """From one entry to the next."""
        return self.gap + math.prod(self.shape[1:]) * self.dtype.itemsize


def describe_pair(path: Path, labels: str, kind: str) -> Answer:
    """Images and labels in two files.

    Args:
        labels: the other one; kind: "npy" or "idx".
    Returns:
        As array_files.describe_hdf5.
    Raises:
        DatasetError: one of them is damaged or missing, or they don't belong together.
    """
    layout_of, what = _KINDS[kind]
    with opened(path, what, unpack=kind == "idx") as stream:
        images = layout_of(stream, path)
    if len(images.shape) < 3:
        raise DatasetError(f"{path}: holds an array of shape {images.shape}; images N x H x W x 3 or N x H x W were "
                           "expected. Choose the file with the images; the labels beside it are found by their name.")
    other = Path(labels)
    with opened(other, what, unpack=kind == "idx") as stream:
        found = layout_of(stream, other)
        words = found.dtype.kind in "SU"
        check_labels(found.shape, found.dtype, images.shape, other, words=words)
        stream.seek(found.begin)
        numbers = _entries(stream, found, 0, found.shape[0])
    value = {"data": [images.dtype.str, images.shape], "block": 1}
    if not words:
        return value, [numbers]
    names, codes = coded(numbers.reshape(-1).tolist(), other)
    return {**value, "names": names}, [codes]


def pair_rows(path: Path, labels: str, kind: str) -> Rows:
    """A stream of the images that describe_pair describes.

    Raises:
        DatasetError: the file is damaged.
    """
    layout_of, what = _KINDS[kind]
    with opened(path, what, unpack=kind == "idx") as stream:
        layout = layout_of(stream, path)
        yield from _stream(stream, layout)


def describe_cifar(path: Path) -> Answer:
    """CIFAR-10's or CIFAR-100's binary files: of the latter the fine labels count.

    Raises:
        DatasetError: it is none.
    """
    with opened(path, "CIFAR file") as stream:
        layout, labels = _cifar(stream, path)
        return {"data": [layout.dtype.str, layout.shape], "block": 1}, [labels]


def cifar_rows(path: Path) -> Rows:
    """A stream of the images that describe_cifar describes.

    Raises:
        DatasetError: the file is damaged.
    """
    with opened(path, "CIFAR file") as stream:
        layout, _ = _cifar(stream, path)
        yield from _stream(stream, layout)


def _stream(stream: IO[bytes], layout: _Layout) -> Rows:
    rows: Array | None = None
    while True:
        start, stop = yield rows
        stream.seek(layout.begin + start * layout.entry_bytes)
        rows = _entries(stream, layout, start, stop)


def _entries(stream: IO[bytes], layout: _Layout, start: int, stop: int) -> Array:
    """Entries start to stop - 1, the first of which begins where the stream is."""
    shape = (stop - start, *layout.shape[1:])
    content = exactly(stream, (stop - start) * layout.entry_bytes)
    if layout.gap:
        whole = np.frombuffer(content, np.uint8).reshape(stop - start, layout.entry_bytes)
        return whole[:, layout.gap:].reshape(shape)
    return np.frombuffer(content, layout.dtype).reshape(shape)


def _npy(stream: IO[bytes], path: Path) -> _Layout:
    shape, dtype = read_header(stream, path)
    if dtype.kind not in "uifbSU":
        raise DatasetError(f"{path}: its values are stored as {dtype}; numbers were expected.")
    return _checked(_Layout(stream.tell(), dtype, shape), path)


def _idx(stream: IO[bytes], path: Path) -> _Layout:
    zero, kind, axes = struct.unpack(">HBB", exactly(stream, 4))
    if zero or kind not in _IDX_TYPES or not 1 <= axes <= _MOST_AXES:
        raise ValueError("it doesn't begin as an IDX file does")
    shape = struct.unpack(f">{axes}I", exactly(stream, 4 * axes))
    return _checked(_Layout(4 + 4 * axes, np.dtype(_IDX_TYPES[kind]), shape), path)


def _checked(layout: _Layout, path: Path) -> _Layout:
    """Labels that would fill the memory are refused before they are read; images are read in pieces."""
    if not layout.shape:
        raise ValueError("it holds a single number")
    if len(layout.shape) < 3 and layout.shape[0] * layout.entry_bytes > MOST_LABEL_BYTES:
        raise DatasetError(f"{path}: has the shape {layout.shape}, more than memory should hold. "
                           "Save one label number an image.")
    return layout


def _cifar(stream: IO[bytes], path: Path) -> tuple[_Layout, Array]:
    size, values = path.stat().st_size, math.prod(_CIFAR_IMAGE)
    wrong = f"its {size:,} bytes aren't images of 32 x 32 x 3 values, each behind its label"
    for kinds in _CIFAR_KINDS:
        count, rest = divmod(size, len(kinds) + values)
        if rest or not count:
            continue
        layout = _Layout(0, np.dtype(np.uint8), (count, *_CIFAR_IMAGE), len(kinds))
        labels = _cifar_labels(stream, layout)
        beyond = [(most, kind) for most, kind in zip(labels.max(axis=0), kinds, strict=True) if most >= kind]
        if not beyond:
            return layout, labels[:, -1]
        most, kind = beyond[0]
        which = "coarse ones" if kind != kinds[-1] else "labels"
        wrong = f"it holds the label {most}; CIFAR-{kinds[-1]}'s {which} run from 0 to {kind - 1}"
    raise DatasetError(f"{path}: isn't one of CIFAR's binary files: {wrong}. Choose a data set in another format.")


def _cifar_labels(stream: IO[bytes], layout: _Layout) -> Array:
    found = []
    stream.seek(0)
    for start in range(0, layout.shape[0], _RECORDS_AT_ONCE):
        count = min(_RECORDS_AT_ONCE, layout.shape[0] - start)
        content = np.frombuffer(exactly(stream, count * layout.entry_bytes), np.uint8)
        found.append(content.reshape(count, -1)[:, :layout.gap].copy())
    return np.concatenate(found)


_KINDS: dict[str, tuple[Callable[[IO[bytes], Path], _Layout], str]] = {
    "npy": (_npy, "NumPy array"), "idx": (_idx, "IDX file")}
