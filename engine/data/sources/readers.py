"""Data files of each kind, read piece by piece and never whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engine.data.labels import MOST_LABEL_BYTES, check_codes, check_labels
from engine.data.sources.depth import common_depth, looked_at, resized
from engine.data.sources.listings import Listing, decoded
from engine.errors import DatasetError
from engine.files.pictures import DEEP_SUFFIXES, load_picture, look_at_picture
from engine.quarantine.client import READER
from engine.quarantine.wire import Array, BrokenWireError, Spec, spec_of

ReadSlice = Callable[[int, int], Array]

_SVHN_IMAGE, SVHN_ZERO = (32, 32, 3), 10
LIKE_SVHN = ("The pictures are 32 x 32 and the highest label is 10, as in SVHN, where 10 stands for the digit 0: for a "
             "network of 10 labels, which has no label 10, it is counted as 0, for any other it is label 10.")
_BOTH_PARTS = ("It holds training images (x_train) beside others (x_test or x_val): the others are taken. To use the "
               "training images, save them in a file of their own.")


class Reader(Protocol):
    """A data file: its shape and labels at once, its images by slices in rising order.

    Attributes:
        block: images that are unpacked together, whatever part of them is asked for.
        labels: numbers; where labels have names, what these stand for unless something says more.
        named: each image's label as a name, where labels have names; empty where they are numbers.
        known_names: all names there are, in the order of text, also those of no image.
        names_are: what they are called, such as "sub-folders".
        class_names: what label numbers are called, where the file says so.
        files: what it is read from.
        pictures: of a set of single picture files one for each image; else none.
        notes: what was decided in a person's place, a sentence each.
        depth: of pictures stored with 16 bits, how many of them the set uses; else None.
        reconstructed: whether its trigger was computed from a network, where the file says so.
    """

    format: str
    block: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    labels: Array
    named: Sequence[str]
    known_names: tuple[str, ...]
    names_are: str
    class_names: tuple[str, ...]
    files: Sequence[Path]
    pictures: Sequence[Path]
    notes: tuple[str, ...]
    depth: int | None
    reconstructed: bool

    def open(self) -> AbstractContextManager[ReadSlice]:
        """Give a function that reads images start to stop - 1, as stored."""
        ...


class _ArrayFile:
    """Two arrays in one file, images and labels, which the reader's process reads."""

    format, names_are = "", "text labels"
    depth: int | None = None
    class_names: tuple[str, ...] = ()
    pictures: Sequence[Path] = ()
    _kind = ""
    _arguments: Mapping[str, str] = {}  # what the parsers are given besides the path

    def __init__(self, path: Path) -> None:
        self.path = path
        self.files: Sequence[Path] = [path]

        def described(found: Any, arrays: list[Array]) -> tuple[Spec, int, tuple[str, ...], bool, bool, Array]:
            (labels,), spec, block = arrays, spec_of(found["data"]), found["block"]
            if type(block) is not int or block < 1:
                raise BrokenWireError("no block")
            return (spec, block, check_codes(found.get("names", []), labels), found.get("reconstructed") is True,
                    found.get("training") is True, labels)

        (self.dtype, self.shape), self.block, self.known_names, self.reconstructed, training, labels = READER.ask(
            path, f"describe {self._kind}", dict(self._arguments), described, most=MOST_LABEL_BYTES,
            error=DatasetError)
        self.notes: tuple[str, ...] = (_BOTH_PARTS,) if training else ()
        check_labels(labels.shape, labels.dtype, self.shape, path)
        self.named: Sequence[str]
        self.named, self.labels = decoded(self.known_names, labels)

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        with READER.stream(self.path, f"rows of {self._kind}", dict(self._arguments), error=DatasetError) as read:
            yield lambda start, stop: read((start, stop), (self.dtype, (stop - start, *self.shape[1:])))


class Hdf5Reader(_ArrayFile):
    """The lab's layout: `data` [N, ...] and `label` [N] or one-hot [N, labels]."""

    format, _kind = "HDF5", "hdf5"


class NpzReader(_ArrayFile):
    """A NumPy archive with the same two arrays, read in rising order; nothing pickled is read."""

    format, _kind = "NumPy archive", "npz"


class PairReader(_ArrayFile):
    """Images in one file, labels in another one beside it: `.npy` or IDX."""

    def __init__(self, path: Path, labels: Path, kind: str, called: str) -> None:
        self.format, self._kind, self._arguments = called, "pair", {"labels": str(labels), "kind": kind}
        super().__init__(path)
        self.files = [path, labels]


class CifarReader(_ArrayFile):
    """CIFAR's binary files."""

    format, _kind = "CIFAR binary", "cifar"


class MatReader(_ArrayFile):
    """MATLAB's files of version 5; a note tells of those that may be SVHN's, whose label 10 is its digit 0."""

    format, _kind = "MATLAB", "mat"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        flat = self.labels.reshape(-1)
        if self.shape[1:] == _SVHN_IMAGE and flat.size and flat.min() >= 1 and flat.max() == SVHN_ZERO:
            self.notes += (LIKE_SVHN,)


class PicturesReader:
    """Picture files with labels, each fitted to the network's input: a folder's, or those that a table lists."""

    class_names: tuple[str, ...] = ()
    reconstructed = False

    def __init__(self, listing: Listing, input_shape: tuple[int | None, int | None, int]) -> None:
        self.format, self.names_are = listing.format, listing.names_are
        self.known_names: tuple[str, ...] = listing.known_names
        self.named: Sequence[str] = listing.named
        self.labels: Array = listing.labels
        self.files: Sequence[Path] = listing.files
        self.pictures: Sequence[Path] = listing.pictures
        self._stamps = [stamp(p) for p in self.pictures]
        look = cache(look_at_picture)
        maybe_deep = [p for p in self.pictures if p.suffix.lower() in DEEP_SUFFIXES]
        self.depth, note = common_depth(maybe_deep, look)
        first = load_picture(self.pictures[0], input_shape, self.depth)
        changed = resized(looked_at(self.pictures, look, self.depth), (first.shape[0], first.shape[1]), input_shape)
        self.notes: tuple[str, ...] = (*listing.notes, *filter(None, (note, changed)))
        self._input_shape = first.shape[0], first.shape[1], first.shape[2]
        self.shape, self.dtype, self.block = (len(self.pictures), *first.shape), np.dtype(np.uint8), 1

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        yield lambda start, stop: np.stack([self._picture(i) for i in range(start, stop)])

    def _picture(self, number: int) -> Array:
        path = self.pictures[number]
        picture = load_picture(path, self._input_shape, self.depth)
        check_unchanged(path, self._stamps[number], "its folder")
        return picture


def stamp(path: Path) -> tuple[int, int]:
    """What changes when a file is written: its size and the time of its last change in nanoseconds."""
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def check_unchanged(path: Path, before: tuple[int, int], opened: str = "it") -> None:
    """Refuse a file or folder whose stamp isn't what it was when the set was opened.

    Args:
        opened: what is to be opened again.
    Raises:
        DatasetError: it was changed, or is gone.
    """
    try:
        unchanged = stamp(path) == before
    except OSError as error:
        raise DatasetError(f"{path}: was removed while it was in use. Bring it back and open {opened} again.") \
            from error
    if not unchanged:
        raise DatasetError(f"{path}: was changed or replaced while it was in use. Open {opened} again.")
