"""A part of a data set as a data set of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from engine.data.datasets import Dataset
from engine.data.readers import Reader, ReadSlice
from engine.quarantine.wire import Array


@dataclass
class SubsetReader:
    """Another reader's images by their numbers, in rising order."""

    whole: Reader
    indices: tuple[int, ...]

    def __post_init__(self) -> None:
        self.format, self.dtype, self.block = self.whole.format, self.whole.dtype, self.whole.block
        self.shape = (len(self.indices), *self.whole.shape[1:])
        self.labels = self.whole.labels[list(self.indices)]

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        with self.whole.open() as read:
            def read_part(start: int, stop: int) -> Array:
                return np.concatenate([read(i, i + 1) for i in self.indices[start:stop]])

            yield read_part


def subset(dataset: Dataset, indices: Sequence[int]) -> Dataset:
    """The images with these numbers as a data set; nothing is read yet.

    Args:
        indices: at least one number from 0 to N - 1; they are put in rising order, each taken once.
    """
    rising = tuple(sorted({int(i) for i in indices}))
    return dataclasses.replace(dataset, labels=dataset.labels[list(rising)],
                               _reader=SubsetReader(dataset._reader, rising), _watch=None)
