"""Opens, validates and streams images and labels in chunks: lab HDF5, picture folders, NumPy archives."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.errors import DatasetError
from engine.readers import FolderReader, Hdf5Reader, NpzReader, Reader

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Shape = tuple[int | None, int | None, int]

# Images read and computed together: enough for full speed, little enough for any memory.
CHUNK = 128

ANY_SHAPE: Shape = (None, None, 3)
# Exactly what a Keras Rescaling(1/255) layer multiplies by, so a saved GoodNet sees the same values.
DIVIDE_BY_255 = 1 / 255


@dataclass(frozen=True, eq=False)
class Chunk:
    """Neighbouring images float32[n, H, W, C] in the network's input range, and their labels int64[n]."""

    start: int
    images: Images
    labels: Labels


@dataclass(frozen=True, eq=False)
class Dataset:
    """N images and labels in a file or folder; images are read only when asked for.

    Attributes:
        labels: int64[N]; of a poisoned set, the attacker's target.
        image_shape: (H, W, C) as the network takes them.
        stored_shape: the shape of one image in the file.
        scale: what stored values are multiplied by on reading, 1 or 1/255.
    """

    path: Path
    format: str
    labels: Labels
    image_shape: tuple[int, int, int]
    stored_shape: tuple[int, ...]
    dtype: str
    scale: float
    _reader: Reader = dataclasses.field(repr=False, compare=False)
    _stamp: tuple[int, int] = dataclasses.field(repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        return self.path.stem

    def scaled(self, scale: float) -> Dataset:
        """The same data with another factor on its values."""
        return dataclasses.replace(self, scale=scale)

    def chunks(
        self, size: int, indices: Sequence[int] | None = None, span: tuple[int, int] | None = None,
    ) -> Generator[Chunk, None, None]:
        """Read the images in order, `size` at a time.

        Args:
            size: images a chunk, at least 1.
            indices: read only these, in rising order; None reads all.
            span: read only images first to last - 1, in one piece; None reads all.
        Raises:
            DatasetError: the file is damaged, holds values that aren't finite, or changed since it was opened.
        """
        self._check_unchanged()
        with self._reader.open() as read:
            if indices is None:
                first, last = span or (0, len(self))
                for start in range(first, last, size):
                    stop = min(start + size, last)
                    yield self._chunk(start, read(start, stop), slice(start, stop))
                    self._check_unchanged()
            else:
                for start in range(0, len(indices), size):
                    part = list(indices[start:start + size])
                    yield self._chunk(start, np.concatenate([read(i, i + 1) for i in part]), part)

    def take(self, indices: Sequence[int]) -> Images:
        """Single images float32[n, H, W, C] by their numbers, in the order asked for."""
        if not len(indices):
            return np.empty((0, *self.image_shape), np.float32)
        rising = sorted({int(i) for i in indices})
        images = np.concatenate([chunk.images for chunk in self.chunks(256, rising)])
        return images[np.searchsorted(rising, np.asarray(indices))]

    def sha256(self) -> str:
        """SHA-256 of the file, or of all of a folder's files one after the other, in hexadecimal."""
        digest = hashlib.sha256()
        files = self._reader.files if isinstance(self._reader, FolderReader) else [self.path]
        for file in files:
            with file.open("rb") as stream:
                while block := stream.read(1 << 20):
                    digest.update(block)
        return digest.hexdigest()

    def _chunk(self, start: int, stored: npt.NDArray[Any], which: slice | list[int]) -> Chunk:
        images = _as_network_input(stored, self.stored_shape, self.image_shape).astype(np.float32)
        if stored.dtype.kind == "f":
            wrong = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
            if len(wrong):
                raise DatasetError(f"{self.path}: image {start + wrong[0]} holds values that aren't numbers (NaN or "
                                   "infinite). Remove it or save the data again.")
        if self.scale != 1:
            images *= np.float32(self.scale)
        return Chunk(start, images, self.labels[which])

    def _check_unchanged(self) -> None:
        try:
            unchanged = _stamp(self.path) == self._stamp
        except OSError as error:
            raise DatasetError(f"{self.path}: was removed while it was in use. Bring it back and open it again.") \
                from error
        if not unchanged:
            raise DatasetError(f"{self.path}: was changed or replaced while it was in use. Open it again.")


def open_dataset(path: Path, input_shape: Shape = ANY_SHAPE, labels: int | None = None) -> Dataset:
    """Open a data set and check that it fits a network; images are not read yet.

    Args:
        path: an HDF5 file or `.npz` with `data` and `label`, or a folder with one sub-folder a label.
        input_shape: H, W, C of the network's input; None fits anything.
        labels: number of labels of the network; None fits any.
    Raises:
        DatasetError: the file isn't such a data set, or doesn't fit.
    """
    try:
        stamp = _stamp(path)
        reader = _reader(path, input_shape)
    except OSError as error:
        raise DatasetError(f"{path}: can't be read ({error.strerror or error}). Check the name and permissions.") \
            from error
    if reader.dtype.kind not in "uif":
        raise DatasetError(f"{path}: its images are stored as {reader.dtype}; numbers were expected.")
    if len(reader.shape) not in (3, 4) or not reader.shape[0] or not all(reader.shape):
        found = "none" if reader.shape and not reader.shape[0] else f"an array of shape {reader.shape}"
        raise DatasetError(f"{path}: images N x 3 x H x W or N x H x W x 3 were expected; found {found}.")
    image_shape = _fitting_shape(path, reader.shape[1:], input_shape)
    numbers = _label_numbers(path, reader.labels, reader.shape[0])
    if labels is not None and numbers.max() >= labels:
        raise DatasetError(f"{path}: holds the label {numbers.max()}, but the network has labels 0 to {labels - 1} "
                           "only. Choose the data set that belongs to the network.")
    return Dataset(path, reader.format, numbers, image_shape, reader.shape[1:], str(reader.dtype), 1.0, reader, stamp)


def _reader(path: Path, input_shape: Shape) -> Reader:
    if path.is_dir():
        return FolderReader(path, input_shape)
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as stream:
            if stream.read(2) == b"PK":
                return NpzReader(path)
    return Hdf5Reader(path)


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _fits(shape: Sequence[int], wanted: Shape) -> bool:
    return len(shape) == 3 and all(w in (None, s) for s, w in zip(shape, wanted, strict=True))


def _fitting_shape(path: Path, stored: Sequence[int], wanted: Shape) -> tuple[int, int, int]:
    """The image's shape as the network takes it; the layout is told by the network's input."""
    if len(stored) == 2:
        stored = (*stored, 1)
    for shape in (tuple(stored), (*stored[1:], stored[0])):
        if _fits(shape, wanted):
            return shape[0], shape[1], shape[2]
    expected = " x ".join(str(n or "any") for n in wanted)
    raise DatasetError(f"{path}: its images have the shape {' x '.join(map(str, stored))}; the network takes "
                       f"{expected}. Choose the data set that belongs to the network.")


def _as_network_input(stored: npt.NDArray[Any], shape: Sequence[int], wanted: Sequence[int]) -> npt.NDArray[Any]:
    if len(shape) == 2:
        return stored[..., np.newaxis]
    return stored if tuple(shape) == tuple(wanted) else stored.transpose(0, 2, 3, 1)


def _label_numbers(path: Path, stored: npt.NDArray[Any], images: int) -> Labels:
    if stored.dtype.kind not in "uifb":
        raise DatasetError(f"{path}: its labels are stored as {stored.dtype}; numbers were expected.")
    if stored.shape[:1] != (images,):
        raise DatasetError(f"{path}: has {images} images but labels of shape {stored.shape}; "
                           "one label an image was expected.")
    flat = stored.reshape(images, -1)
    if not np.isfinite(flat).all() or (flat != np.floor(flat)).any() or (flat < 0).any():
        raise DatasetError(f"{path}: holds labels that aren't whole numbers from 0 up. Check how they were saved.")
    if flat.shape[1] == 1:
        return flat[:, 0].astype(np.int64)
    if (flat.max(axis=1) != 1).any() or (flat.sum(axis=1) != 1).any():
        raise DatasetError(f"{path}: its labels have {flat.shape[1]} columns but aren't one-hot (a single 1 a row). "
                           "Save one label number an image.")
    numbers: Labels = flat.argmax(axis=1).astype(np.int64)
    return numbers
