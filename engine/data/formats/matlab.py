"""MATLAB's `.mat` of version 5 to 7.2 with images H x W x 3 x N and their labels, as SVHN has them; read in pieces.

Source: MathWorks, MAT-File Format, "Level 5 MAT-File Format". Files of version 7.3 are HDF5.
"""

from __future__ import annotations

import io
import math
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from engine.data.array_files import Array, Rows, find_keys, leaves_training_images
from engine.data.formats.opening import exactly, opened
from engine.data.labels import check_labels
from engine.errors import DatasetError

_HEADER_BYTES, _MOST_ELEMENTS, _MOST_NAME = 128, 1000, 100
_MATRIX, _COMPRESSED = 14, 15
_TYPES = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_FIRST_NUMERIC, _LAST_NUMERIC = 6, 15
_COMPLEX = 0x0800
_PIECE = 1 << 16


@dataclass(frozen=True)
class _Variable:
    """An array: where its element begins in the file, whether that is compressed, and where its numbers begin in it."""

    at: int
    size: int
    compressed: bool
    begin: int
    dtype: np.dtype[Any]
    shape: tuple[int, ...]


class _Inflated(io.RawIOBase):
    """A compressed element, unpacked as it is read."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._left, self._packer = stream, size, zlib.decompressobj()

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, target: Any) -> int:
        """Fill a buffer, as far as there is something."""
        while not self._packer.eof:
            packed = self._packer.unconsumed_tail
            if not packed:
                packed = self._stream.read(min(_PIECE, self._left))
                self._left -= len(packed)
            found = self._packer.decompress(packed, len(target))
            if found or not packed:
                target[:len(found)] = found
                return len(found)
        return 0


def describe_mat(path: Path) -> tuple[Any, list[Array]]:
    """As array_files.describe_hdf5: images H x W x C x N or H x W x N in MATLAB's order, given as N x H x W x C.

    Raises:
        DatasetError: it holds no such images, or is damaged.
    """
    with opened(path, "MATLAB file") as stream:
        images, labels, training = _variables(stream, path)
        numbers = _values(stream, labels, 0, math.prod(labels.shape))
    count, *_ = shape = _image_shape(images, numbers.size, path)
    check_labels((numbers.size,), numbers.dtype, shape, path)
    return {"data": [images.dtype.str, shape], "block": max(1, count), "training": training}, [numbers]


def mat_rows(path: Path) -> Rows:
    """A stream of the images that describe_mat describes.

    Raises:
        DatasetError: the file is damaged.
    """
    with opened(path, "MATLAB file") as stream:
        images, *_ = _variables(stream, path)
        values = math.prod(images.shape[:-1])
        inside, position = _inside(stream, images), 0
        rows: Array | None = None
        while True:
            start, stop = yield rows
            if start < position:
                inside, position = _inside(stream, images), 0
            _pass(inside, (start - position) * values * images.dtype.itemsize)
            content = exactly(inside, (stop - start) * values * images.dtype.itemsize)
            position = stop
            # Of each image the rows run fastest, then the columns, then the colours.
            stored = np.frombuffer(content, images.dtype).reshape(stop - start, *images.shape[-2::-1])
            rows = stored.transpose(0, 3, 2, 1) if stored.ndim == 4 else stored.transpose(0, 2, 1)


def _image_shape(images: _Variable, labels: int, path: Path) -> tuple[int, ...]:
    if len(images.shape) not in (3, 4) or images.shape[-1] != labels:
        found = " x ".join(map(str, images.shape))
        raise DatasetError(f"{path}: its images have the shape {found} and there are {labels:,} labels; images "
                           "H x W x 3 x N, as in SVHN, with N labels were expected. Bring the images' number to the "
                           "end: permute(X, [2 3 4 1]).")
    return images.shape[-1], *images.shape[:-1]


def _variables(stream: IO[bytes], path: Path) -> tuple[_Variable, _Variable, bool]:
    """The images' and the labels' array, and whether images to train with are left aside."""
    header = exactly(stream, _HEADER_BYTES)
    order = {b"IM": "<", b"MI": ">"}.get(header[126:128], "")
    if not order:
        raise ValueError("it doesn't begin as a MATLAB file does")
    found: dict[str, _Variable] = {}
    at, end = _HEADER_BYTES, path.stat().st_size
    while at < end and len(found) < _MOST_ELEMENTS:
        stream.seek(at)
        kind, size = struct.unpack(f"{order}II", exactly(stream, 8))
        if at + 8 + size > end:
            raise EOFError(f"an array of {size:,} bytes stands at {at:,} of {end:,}")
        if kind in (_MATRIX, _COMPRESSED):
            name, variable = _variable(stream, at + 8, size, kind == _COMPRESSED, order)
            if variable:
                found[name] = variable
        at += 8 + size
    keys = find_keys(list(found), path)
    return found[keys[0]], found[keys[1]], leaves_training_images(found, keys[0])


def _variable(stream: IO[bytes], at: int, size: int, compressed: bool, order: str) -> tuple[str, _Variable | None]:
    """An array's name and what is needed to read its numbers; nothing of what isn't plain numbers."""
    inside: IO[bytes] = io.BufferedReader(_Inflated(stream, size)) if compressed else stream
    begin = 8 if compressed else 0
    if compressed:
        exactly(inside, 8)  # the tag of the array that is inside
    flags, begin = _part(inside, begin, order, 16)
    sides, begin = _part(inside, begin, order, 4 * 32)
    letters, begin = _part(inside, begin, order, _MOST_NAME)
    (word,) = struct.unpack_from(f"{order}I", flags)
    name = letters.decode("ascii", "replace")
    if not _FIRST_NUMERIC <= word & 0xff <= _LAST_NUMERIC or word & _COMPLEX:
        return name, None
    kind, length = struct.unpack(f"{order}II", exactly(inside, 8))
    small = kind >> 16
    kind, length, begin = kind & 0xffff, small or length, begin + (4 if small else 8)
    shape = struct.unpack(f"{order}{len(sides) // 4}i", sides)
    if kind not in _TYPES:
        return name, None
    dtype = np.dtype(order + _TYPES[kind])
    if any(n < 0 for n in shape) or math.prod(shape) * dtype.itemsize != length:
        raise ValueError(f"'{name}' has the shape {shape} and {length:,} bytes of numbers")
    return name, _Variable(at, size, compressed, begin, dtype, shape)


def _part(stream: IO[bytes], begin: int, order: str, most: int) -> tuple[bytes, int]:
    """A short part of an array's description, and where the next one begins. Parts fill up multiples of 8 bytes."""
    kind, size = struct.unpack(f"{order}II", exactly(stream, 8))
    if kind >> 16:  # so small that it stands in its own tag
        packed = struct.pack(f"{order}I", size)
        return packed[:kind >> 16], begin + 8
    if size > most:
        raise ValueError(f"a part of its description has {size:,} bytes")
    padded = (size + 7) // 8 * 8
    return exactly(stream, padded)[:size], begin + 8 + padded


def _inside(stream: IO[bytes], variable: _Variable) -> IO[bytes]:
    """A stream that stands at an array's first number."""
    stream.seek(variable.at)
    inside: IO[bytes] = io.BufferedReader(_Inflated(stream, variable.size)) if variable.compressed else stream
    _pass(inside, variable.begin)
    return inside


def _values(stream: IO[bytes], variable: _Variable, start: int, stop: int) -> Array:
    check_labels((stop - start,), variable.dtype, (stop - start,), Path("labels"))
    content = exactly(_inside(stream, variable), (stop - start) * variable.dtype.itemsize)
    return np.frombuffer(content, variable.dtype)


def _pass(stream: IO[bytes], size: int) -> None:
    if stream.seekable():
        stream.seek(size, io.SEEK_CUR)
        return
    while size > 0:
        size -= len(exactly(stream, min(size, _PIECE)))
