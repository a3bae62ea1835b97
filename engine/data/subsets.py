"""A part of a data set as a data set of its own."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from engine.data.datasets import MOST_HELD_VALUES, Dataset, Images, Labels, runs_of
from engine.data.preprocessing import AS_STORED
from engine.data.sources.readers import Reader, ReadSlice
from engine.quarantine.wire import Array

# Where one in so many neighbours is wanted, reading all of them at once is quicker than one after the other; if memory
# should hold them.
_DENSE = 4
HELD_BACK = "held back"
Indices = npt.NDArray[np.int64]
_FEWEST_HELD_BACK, _MOST_HELD_BACK = 40, 2000
# So many pictures a saved file is tried with.
_PICTURES = 16


@dataclass
class SubsetReader:
    """Another reader's images by their numbers, in rising order."""

    whole: Reader
    indices: tuple[int, ...]

    def __post_init__(self) -> None:
        self.format, self.dtype, self.block = self.whole.format, self.whole.dtype, self.whole.block
        self.shape = (len(self.indices), *self.whole.shape[1:])
        self.labels = self.whole.labels[list(self.indices)]
        self.known_names, self.names_are = self.whole.known_names, self.whole.names_are
        self.class_names = self.whole.class_names
        self.named: Sequence[str] = [self.whole.named[i] for i in self.indices] if self.whole.named else []
        self.files, self.notes, self.depth = self.whole.files, self.whole.notes, self.whole.depth
        self.reconstructed = self.whole.reconstructed
        self.pictures: Sequence[Path] = [self.whole.pictures[i] for i in self.indices] if self.whole.pictures else []

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader."""
        with self.whole.open() as read:
            def read_part(start: int, stop: int) -> Array:
                wanted = self.indices[start:stop]
                first, last = wanted[0], wanted[-1] + 1
                if last - first <= min(_DENSE * len(wanted), MOST_HELD_VALUES // math.prod(self.shape[1:])):
                    return np.take(read(first, last), np.array(wanted) - first, axis=0)
                return np.concatenate([read(*run) for run in runs_of(wanted)])

            yield read_part


def subset(dataset: Dataset, indices: Sequence[int], part: str = "") -> Dataset:
    """The images with these numbers as a data set; nothing is read yet.

    Args:
        indices: at least one number from 0 to N - 1; they are put in rising order, each taken once.
        part: which part it is, for its name.
    """
    rising = tuple(sorted({int(i) for i in indices}))
    return dataclasses.replace(dataset, labels=dataset.labels[list(rising)],
                               _reader=SubsetReader(dataset._reader, rising), _watch=None, part=part)


def hold_back(clean: Dataset) -> tuple[Dataset, Dataset | None]:
    """Part a clean set, so that what is made from the first part can be measured on the second.

    Every label keeps at least three quarters of its images; up to 2,000 of the others are held back.

    Returns:
        All of it and None where fewer than 40 could be held back: so few hardly measure anything.
    """
    order = np.random.default_rng(0).permutation(len(clean))
    labels = clean.labels[order]
    held = np.concatenate([order[labels == label][:(labels == label).sum() // 4] for label in np.unique(labels)])
    if len(held) < _FEWEST_HELD_BACK:
        return clean, None
    held = np.random.default_rng(0).permutation(held)[:_MOST_HELD_BACK]
    rest = np.setdiff1d(np.arange(len(clean)), held)
    return subset(clean, rest.tolist()), subset(clean, held.tolist(), HELD_BACK)


def halves(labels: Labels) -> tuple[Indices, Indices]:
    """The numbers of images of labels int64[n] in two halves, drawn by chance, with as many of each label but for one.

    Copies of a picture may come into both.
    """
    by_chance = np.random.default_rng(0).permutation(len(labels))
    by_label = by_chance[np.argsort(labels[by_chance], kind="stable")]
    return np.sort(by_label[::2]), np.sort(by_label[1::2])


def stored_pictures(datasets: Sequence[Dataset]) -> Images:
    """Some images of each of at least one set, as they are stored, float32[n, H, W, C]; 16 in all.

    Sets of another size than the first one's are left out.

    Raises:
        DatasetError: an image can't be read.
    """
    fitting = [dataset for dataset in datasets if dataset.image_shape == datasets[0].image_shape]
    share = max(1, _PICTURES // len(fitting))
    return np.concatenate([dataset.prepared(AS_STORED).take(dataset.sample(share)) for dataset in fitting])
