"""A part of a data set as a data set of its own."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from engine.data.datasets import Dataset, Images, runs_of
from engine.data.preprocessing import AS_STORED
from engine.data.readers import Reader, ReadSlice
from engine.quarantine.wire import Array

# Where one in so many neighbours is wanted, reading all of them at once is quicker than one after the other.
_DENSE = 4


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
                wanted = self.indices[start:stop]
                first, last = wanted[0], wanted[-1] + 1
                if last - first <= _DENSE * len(wanted):
                    return np.take(read(first, last), np.array(wanted) - first, axis=0)
                return np.concatenate([read(*run) for run in runs_of(wanted)])

            yield read_part


def subset(dataset: Dataset, indices: Sequence[int]) -> Dataset:
    """The images with these numbers as a data set; nothing is read yet.

    Args:
        indices: at least one number from 0 to N - 1; they are put in rising order, each taken once.
    """
    rising = tuple(sorted({int(i) for i in indices}))
    return dataclasses.replace(dataset, labels=dataset.labels[list(rising)],
                               _reader=SubsetReader(dataset._reader, rising), _watch=None)


def stored_pictures(datasets: Sequence[Dataset], most: int) -> Images:
    """Some images of each of at least one set, as they are stored, float32[n, H, W, C].

    Args:
        most: images in all; sets of another size than the first one's are left out.
    Raises:
        DatasetError: an image can't be read.
    """
    fitting = [dataset for dataset in datasets if dataset.image_shape == datasets[0].image_shape]
    share = max(1, most // len(fitting))
    return np.concatenate([dataset.prepared(AS_STORED).take(dataset.sample(share)) for dataset in fitting])
