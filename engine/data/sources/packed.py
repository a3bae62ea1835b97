"""Sets of packed pictures, JPEG or PNG, in one file: each is unpacked by the reader's process when it is asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.labels import MOST_LABEL_BYTES, check_codes, class_names
from engine.data.sources.depth import common_depth, looked_at, resized
from engine.data.sources.listings import decoded
from engine.data.sources.readers import Reader, ReadSlice
from engine.errors import DatasetError
from engine.files.pictures import LOOK, MOST_PIXELS, as_look, check_colours
from engine.quarantine.client import READER, Read
from engine.quarantine.wire import Array, BrokenWireError

Shape = tuple[int | None, int | None, int]

_FORMATS = {"tar": "WebDataset", "tfrecord": "TFRecord", "parquet": "Parquet"}
# A picture's height, width and colours as it is fitted.
_SIZE = (np.dtype(np.int64), (3,))


class PackedReader:
    """Pictures by their places in a file, fitted to the network's input. See readers.Reader."""

    pictures: Sequence[Path] = ()
    reconstructed = False

    def __init__(self, path: Path, kind: str, input_shape: Shape) -> None:
        """Read the labels and places of all pictures, and unpack the first one.

        Args:
            kind: "tar", "tfrecord" or "parquet".
        """
        check_colours(path, input_shape)
        self.path, self.format, self.names_are, self.block = path, _FORMATS[kind], "text labels", 1
        self._kind = kind
        self.files: Sequence[Path] = [path]

        def described(found: Any, arrays: list[Array]) -> tuple[tuple[str, ...], tuple[str, ...], Array, Array]:
            labels, places = arrays
            if labels.dtype != np.int64 or places.dtype != np.int64 or labels.ndim != 1 or not len(labels) \
                    or places.shape != (len(labels), 2) or places.min() < 0:
                raise BrokenWireError("no places")
            return check_codes(found["names"], labels), class_names(found.get("classes")), labels, places

        self.known_names, self.class_names, codes, self._places = READER.ask(
            path, f"describe {kind}", {}, described, most=3 * MOST_LABEL_BYTES, error=DatasetError)
        self.named: Sequence[str]
        self.named, self.labels = decoded(self.known_names, codes)
        self._input_shape = input_shape
        with self._stream() as read:
            look = cache(lambda number: as_look(self._ask(read, number, "look", None, LOOK)))
            self.depth, self.depth_note = common_depth(range(len(codes)), look)
            self.sizes = looked_at(range(len(codes)), look, self.depth)
            height, width, colours = map(int, self._ask(read, 0, "size", self.depth, _SIZE))
        sides = zip((height, width, colours), input_shape, strict=True)
        if not all(side > 0 and wanted in (None, side) for side, wanted in sides) or height * width > MOST_PIXELS:
            raise DatasetError(f"{path}: its first picture has no size. Copy the file again from its source.")
        self._input_shape = height, width, colours
        self.shape: tuple[int, ...] = (len(codes), height, width, colours)
        self.dtype: np.dtype[Any] = np.dtype(np.uint8)
        self.notes: tuple[str, ...] = ()
        tell_together([self], input_shape)

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        spec = (self.dtype, self.shape[1:])
        with self._stream() as read:
            yield lambda start, stop: np.stack([self._ask(read, number, "picture", self.depth, spec)
                                                for number in range(start, stop)])

    @contextmanager
    def _stream(self) -> Iterator[Read]:
        with READER.stream(self.path, f"pictures of {self._kind}", {}, error=DatasetError) as read:
            yield read

    def _ask(self, read: Read, number: int, what: str, depth: int | None, spec: Any) -> Array:
        return read([what, depth, self._input_shape, number, *self._places[number].tolist()], spec)


def tell_together(pieces: Sequence[Reader], input_shape: Shape) -> None:
    """Have the pictures of all pieces of a set use the most bits that one's do, so that they stay as bright as each
    other, and say of all together what is done with them.

    Args:
        input_shape: H, W, C of the network's input; None fits anything.
    """
    packed = [piece for piece in pieces if isinstance(piece, PackedReader)]
    if packed:
        deepest = max(packed, key=lambda piece: piece.depth or 0)
        sizes = [size for piece in packed for size in piece.sizes]
        changed = resized(sizes, (packed[0].shape[1], packed[0].shape[2]), input_shape)
        for piece in packed:
            piece.depth, piece.notes = deepest.depth, tuple(filter(None, (deepest.depth_note, changed)))
