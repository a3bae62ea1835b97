"""Opens, validates and streams images and labels in chunks, whatever kind of file or folder they come from."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from engine.data.classes import few, places_among
from engine.data.labels import no_whole_numbers
from engine.data.preprocessing import AS_STORED, Preprocessing
from engine.data.sources.depth import unlike_depths
from engine.data.sources.kinds import reader_of, sha256_of_set
from engine.data.sources.readers import LIKE_SVHN, SVHN_ZERO, Reader, check_unchanged, stamp
from engine.data.sources.shards import is_pattern
from engine.data.spread import spread_over
from engine.errors import DatasetError, EngineError, UnfitError
from engine.files.existing import is_folder
from engine.progress import NEVER_CANCELLED, CancelToken

Images = npt.NDArray[np.float32]
Labels = npt.NDArray[np.int64]
Shape = tuple[int | None, int | None, int]
# Is told the numbers of images and the images float32[n, H, W, C], as stored, as they are read.
Watch = Callable[[Sequence[int], Images], None]

# Images read and computed together: enough for full speed, little enough for any memory.
CHUNK = 128
# Values in memory at once, whatever the size of an image: a quarter of a gigabyte.
MOST_HELD_VALUES = 1 << 26
_HIGHEST_LABEL = 10 ** 9

ANY_SHAPE: Shape = (None, None, 3)
UNKNOWN_STAMP = (0, 0)


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
        preprocessing: what is done with stored values on reading.
        classes: names of the labels that sub-folders were matched with; none where labels are as stored.
        part: of a part of a file, which one it is, such as "target 3".
        number: of several sets whose files have one name, which one it is.
        reconstructed: of a poisoned set, whether its trigger was computed from a network.
    """

    path: Path
    format: str
    labels: Labels
    image_shape: tuple[int, int, int]
    stored_shape: tuple[int, ...]
    dtype: str
    preprocessing: Preprocessing
    classes: tuple[str, ...]
    _reader: Reader = dataclasses.field(repr=False, compare=False)
    _stamp: tuple[int, int] = dataclasses.field(repr=False, compare=False)
    _watch: Watch | None = dataclasses.field(default=None, repr=False, compare=False)
    part: str = ""
    number: int = 1
    reconstructed: bool = False

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def name(self) -> str:
        """The file's name without its ending, numbered from the second one on of that name, and which part of it."""
        name = f"{self.path.stem} {self.number}" if self.number > 1 else self.path.stem
        return f"{name} ({self.part})" if self.part else name

    def prepared(self, wanted: Preprocessing) -> Dataset:
        """The same data, its stored values prepared in another way.

        Raises:
            DatasetError: images of so many colours can't be prepared so.
        """
        if not wanted.fits(self.image_shape[2]):
            raise DatasetError(f"{self.path}: its images have {self.image_shape[2]} colour channels, so their values "
                               f"can't be {wanted.words}. Choose another preprocessing.")
        return dataclasses.replace(self, preprocessing=wanted)

    @property
    def label_names(self) -> tuple[str, ...]:
        """All names by which its images are labelled, in the order of text; none where labels are numbers."""
        return self._reader.known_names

    @property
    def pictures(self) -> Sequence[Path]:
        """Of a set of single picture files one for each image; else none."""
        return self._reader.pictures

    @property
    def names_are(self) -> str:
        """What these names are called: "sub-folders" or "text labels"."""
        return self._reader.names_are

    @property
    def class_names(self) -> tuple[str, ...]:
        """What its label numbers are called, where the file says so."""
        return self._reader.class_names

    @property
    def notes(self) -> tuple[str, ...]:
        """What was decided in a person's place on reading, a sentence each."""
        return self._reader.notes

    @property
    def depth(self) -> int | None:
        """Of pictures stored with 16 bits, how many of them the set uses; else None."""
        return self._reader.depth

    def named(self, classes: tuple[str, ...], whose: str = "the network's", numbers: bool = False) -> Dataset:
        """The same images, each labelled by its name's place among `classes`; unchanged where labels are numbers, but
        for those of names that the file has in another order, and `numbers` that are names if it calls them nothing.

        Raises:
            DatasetError: a name is none of these, or the file gives numbers to some of them in another order and to
                others that are none.
        """
        by_number = numbers and not self.class_names and not self.reconstructed  # such a label is the network's own
        names = self._reader.named or self._other_order(classes) or (by_number and self.labels.astype(str).tolist())
        if not names or not classes:
            return self
        place = {name: number for number, name in enumerate(classes)}
        strange = sorted(set(names) - set(classes))
        if strange:
            called = self.names_are.removesuffix("s") if self.label_names else "label"
            raise DatasetError(f"{self.path}: its {called} '{strange[0]}' is none of "
                               f"{whose} classes ({few(classes, 6)}). Rename it, or give the class list that belongs "
                               "to the network.")
        labels = np.array([place[name] for name in names], np.int64)
        return dataclasses.replace(self, labels=labels, classes=classes)

    def _other_order(self, classes: tuple[str, ...]) -> list[str]:
        """The images' names where labels are numbers of the same names in another order; else none."""
        own = self.class_names
        places = places_among(own, classes)
        if self.classes or not classes or self.labels.max() >= len(own) or places == list(range(len(own))):
            return []
        if None not in places:
            return [classes[place] for place in (places[label] for label in self.labels) if place is not None]
        if any(place not in (None, number) for number, place in enumerate(places)):
            raise DatasetError(f"{self.path}: calls its labels {few(own)}; only some of these are classes of the "
                               f"network ({few(classes)}), and in another order, so what the others stand for can't "
                               "be told. Give the class list with the names that this file uses.")
        return []

    def fitting(self, labels: int) -> Dataset:
        """The same data, found to have none but a network's labels; only these tell what SVHN's label 10 is.

        Raises:
            DatasetError: it has others.
        """
        if labels == SVHN_ZERO and LIKE_SVHN in self.notes:
            return dataclasses.replace(self, labels=np.where(self.labels == SVHN_ZERO, 0, self.labels))
        if (highest := self.labels.max()) >= labels:
            from_1 = highest == labels and self.labels.min() == 1
            remedy = ("They seem to count from 1: save them from 0." if from_1 else
                      "Choose the data set that belongs to the network.")
            raise DatasetError(f"{self.path}: holds the label {highest}, but the network has labels 0 to "
                               f"{labels - 1} only. {remedy}")
        return self

    def watched(self, by: Watch) -> Dataset:
        """The same data, which tells `by` of all images that are read of it, on whatever thread reads them."""
        return dataclasses.replace(self, _watch=by)

    def chunks(
        self, size: int, indices: Sequence[int] | None = None, span: tuple[int, int] | None = None,
    ) -> Generator[Chunk, None, None]:
        """Read the images in order, `size` at a time.

        Args:
            size: images a chunk, at least 1; fewer come where so many would exceed a quarter of a gigabyte.
            indices: read only these, in rising order; None reads all.
            span: read only images first to last - 1, in one piece; None reads all.
        Raises:
            DatasetError: the file is damaged, holds values that aren't finite, or changed since it was opened.
        """
        self._check_unchanged()
        size = max(1, min(size, self.most_at_once))
        numbers = range(*(span or (0, len(self)))) if indices is None else [int(i) for i in indices]
        try:
            with self._reader.open() as read:
                for start in range(0, len(numbers), size):
                    part = numbers[start:start + size]
                    stored = [read(first, last) for first, last in runs_of(part)]
                    self._check_unchanged()
                    yield self._chunk(part[0] if indices is None else start, stored, part)
        except EngineError:
            self._check_unchanged()  # what was cut off or replaced looks damaged
            raise

    def take(self, indices: Sequence[int]) -> Images:
        """Single images float32[n, H, W, C] by their numbers, in the order asked for."""
        if not len(indices):
            return np.empty((0, *self.image_shape), np.float32)
        rising = sorted({int(i) for i in indices})
        images = np.concatenate([chunk.images for chunk in self.chunks(256, rising)])
        return images[np.searchsorted(rising, np.asarray(indices))]

    def spread(self, most: int) -> list[int]:
        """Numbers of up to `most` images at equal distances, the first and the last among them."""
        return spread_over(len(self), most)

    @property
    def most_at_once(self) -> int:
        """How many of its images memory should hold together, at least one."""
        return max(1, min(len(self), MOST_HELD_VALUES // math.prod(self.image_shape)))

    def sample(self, most: int) -> list[int]:
        """Numbers of up to `most` images spread over the set, that are quick to read and fit into memory together.

        Where images are packed in blocks they are taken from the first and the last block only.
        """
        most = min(most, self.most_at_once)
        block = self._reader.block
        if block == 1:
            return self.spread(most)
        last = (len(self) - 1) // block * block
        return sorted({*range(min(most - most // 2 if last else most, block)),
                       *range(last, min(last + most // 2, len(self)))})

    @property
    def stamp(self) -> tuple[int, int]:
        """By what a set is cheaply found to have been written anew: bytes and times of the last change in nanoseconds,
        summed over all its files, of a single one when it was opened; 0, 0 where one is gone."""
        files = self._reader.files
        if list(files) == [self.path]:
            return self._stamp
        try:
            stamps = [stamp(file) for file in files]
        except OSError:
            return UNKNOWN_STAMP
        return sum(size for size, _ in stamps), sum(changed for _, changed in stamps)

    def sha256(self, cancel: CancelToken = NEVER_CANCELLED) -> str:
        """SHA-256 of the file, or of all of a folder's files and their labels, in hexadecimal; see sha256_of_set.

        Raises:
            DatasetError: one of them is gone or can't be read.
            Cancelled: the token was set.
        """
        return self._hashes(cancel)[0]

    def is_as_it_was(self, sha256: str, cancel: CancelToken = NEVER_CANCELLED) -> bool:
        """Whether it has the hash that is noted somewhere, by this version or an earlier one; raises as sha256."""
        return sha256 in self._hashes(cancel)

    def _hashes(self, cancel: CancelToken) -> tuple[str, str]:
        try:
            return sha256_of_set(self.path, self._reader.files, cancel)
        except OSError as error:
            raise DatasetError(f"{error.filename or self.path}: can't be read any more ({error.strerror or error}). "
                               "Bring it back and open its set again.") from error

    def _chunk(self, start: int, parts: Sequence[npt.NDArray[Any]], numbers: Sequence[int]) -> Chunk:
        stored = parts[0] if len(parts) == 1 else np.concatenate(parts)
        with np.errstate(over="ignore"):  # what float32 can't hold becomes infinite and is refused below
            images = _as_network_input(stored, self.stored_shape, self.image_shape)
        if stored.dtype.kind == "f":
            wrong = np.flatnonzero(~np.isfinite(images).all(axis=(1, 2, 3)))
            if len(wrong):
                raise DatasetError(f"{self.path}: image {numbers[wrong[0]]} holds values that aren't numbers (NaN or "
                                   "infinite). Remove it or save the data again.")
        if self._watch:
            self._watch(numbers, images)
        return Chunk(start, self.preprocessing.applied(images), self.labels[list(numbers)])

    def _check_unchanged(self) -> None:
        # Of a set in several files its reader looks at each; a folder changes by being looked at on other systems, too.
        if not is_pattern(self.path) and not is_folder(self.path):
            check_unchanged(self.path, self._stamp)


def notices_of(sets: Sequence[Dataset], others: Sequence[tuple[str, int | None]] = ()) -> list[str]:
    """The notes of some sets, each once with the names of the files that it is of, and one on depths that differ.

    Args:
        others: names and depths of what else is fed to the network.
    """
    files: dict[str, dict[Path, str]] = {}
    for dataset in sets:
        for note in dataset.notes:
            files.setdefault(note, {})[dataset.path] = dataset.path.name
    unlike = unlike_depths([*others, *((dataset.path.name, dataset.depth) for dataset in sets)])
    return [*(f"{', '.join(names.values())}: {note}" for note, names in files.items()), *filter(None, [unlike])]


def open_dataset(path: Path, input_shape: Shape = ANY_SHAPE, labels: int | None = None) -> Dataset:
    """Open a data set and check that it fits a network; images are not read yet.

    Args:
        path: a file of one of the kinds that engine.data.sources.kinds knows, or a folder of pictures.
        input_shape: H, W, C of the network's input; None fits anything.
        labels: number of labels of the network; None fits any.
    Raises:
        DatasetError: the file isn't such a data set.
        UnfitError: its images don't fit.
    """
    try:
        opened_at = UNKNOWN_STAMP if is_pattern(path) else stamp(path)
        reader = reader_of(path, input_shape)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path}: can't be read ({getattr(error, 'strerror', None) or error}). Check the name and "
                           "permissions.") from error
    if reader.dtype.kind not in "uif":
        raise DatasetError(f"{path}: its images are stored as {reader.dtype}; numbers were expected. Save "
                           "them as numbers.")
    if len(reader.shape) not in (3, 4) or min(reader.shape) < 1:
        found = "none" if reader.shape and not reader.shape[0] else f"an array of shape {reader.shape}"
        raise DatasetError(f"{path}: images N x 3 x H x W or N x H x W x 3 were expected; found {found}. Choose "
                           "the file with the images, or save them again.")
    if math.prod(reader.shape[1:]) > MOST_HELD_VALUES:
        raise DatasetError(f"{path}: each of its images has {math.prod(reader.shape[1:]):,} values, more than memory "
                           "should hold. Make them smaller.")
    image_shape = _fitting_shape(path, reader.shape[1:], input_shape)
    numbers = _label_numbers(path, reader.labels, reader.shape[0])
    opened = Dataset(path, reader.format, numbers, image_shape, reader.shape[1:], str(reader.dtype), AS_STORED, (),
                     reader, opened_at, reconstructed=reader.reconstructed)
    return opened if labels is None else opened.fitting(labels)


def runs_of(numbers: Sequence[int]) -> list[tuple[int, int]]:
    """Rising numbers as runs of neighbours, first to last - 1."""
    ends = [i for i in range(1, len(numbers)) if numbers[i] != numbers[i - 1] + 1]
    bounds = [0, *ends, len(numbers)]
    return [(numbers[a], numbers[b - 1] + 1) for a, b in itertools.pairwise(bounds)]


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
    raise UnfitError(f"{path}: its images have the shape {' x '.join(map(str, stored))}; {expected} "
                     "was expected. Choose a data set of such images that belongs to the network.")


def _as_network_input(stored: npt.NDArray[Any], shape: Sequence[int], wanted: Sequence[int]) -> Images:
    if len(shape) == 2:
        return stored[..., np.newaxis].astype(np.float32)
    if tuple(shape) == tuple(wanted):
        return stored.astype(np.float32)
    # Channel by channel: of all ways to lay the values out as the network takes them the fastest.
    images = np.empty((len(stored), *wanted), np.float32)
    for channel in range(stored.shape[1]):
        images[..., channel] = stored[:, channel]
    return images


def _label_numbers(path: Path, stored: npt.NDArray[Any], images: int) -> Labels:
    flat = stored.reshape(images, -1)
    if flat.dtype.kind == "b":
        flat = flat.astype(np.uint8)
    broken = flat.dtype.kind == "f" and (not np.isfinite(flat).all() or (flat != np.floor(flat)).any())
    if broken or (flat < 0).any():
        raise no_whole_numbers(path)
    if (flat > _HIGHEST_LABEL).any():
        raise DatasetError(f"{path}: holds the label {flat.max():g}. Labels count from 0: check how they were saved.")
    if not flat.shape[1]:
        raise DatasetError(f"{path}: its labels have no columns; one label an image was expected.")
    if flat.shape[1] == 1:
        return flat[:, 0].astype(np.int64)
    if (flat.max(axis=1) != 1).any() or (flat.sum(axis=1) != 1).any():
        raise DatasetError(f"{path}: its labels have {flat.shape[1]} columns but aren't one-hot (a single 1 a row). "
                           "Save one label number an image.")
    numbers: Labels = flat.argmax(axis=1).astype(np.int64)
    return numbers
