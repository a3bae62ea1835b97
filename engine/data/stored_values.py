"""In which range values are stored: sets that are fed alike must be stored alike, and pictures are brought to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from engine.data.datasets import Dataset, Images
from engine.data.preprocessing import AS_STORED, KNOWN, KNOWN_OF_UNIT, Preprocessing
from engine.errors import DatasetError
from engine.files.pictures import Picture

# What is stored as pictures are, as shares of the brightest, around 0, or in some way that nothing tells: prepared, or
# finer than bytes.
BYTES, UNIT, AROUND_ZERO, PREPARED, FINER = "0..255", "0..1", "-1..1", "prepared", "finer"
RANGES: Final = (BYTES, UNIT, AROUND_ZERO, PREPARED, FINER)
WORDS = {BYTES: "from 0 to 255", UNIT: "from 0 to 1", AROUND_ZERO: "from -1 to 1", PREPARED: "on both sides of 0",
         FINER: "far beyond 255"}
# As large a part of the range may lie beyond its ends, as smoothing or noise that nobody cut off leaves it.
_BEYOND = 0.25
_FAR_BEYOND = 510.0
_LOOK_IMAGES = 16
# Largest values of sets that are stored alike lie closer; of dark pictures they may not.
_FAR_BRIGHTER = 2.0


def stored_range(dataset: Dataset) -> str | None:
    """Which of RANGES a set's values are stored in, by a few of its images; None where they are all 0.

    Raises:
        DatasetError: an image can't be read.
    """
    return range_of(_few_of(dataset))


def _few_of(dataset: Dataset) -> Images:
    stored = dataset.prepared(AS_STORED)
    return stored.take(stored.sample(_LOOK_IMAGES))


def range_of(stored: Images) -> str | None:
    """As stored_range, of images float32[n, H, W, C] as stored."""
    low, high = float(stored.min()), float(stored.max())
    if low == high == 0:
        return None
    if low < -_BEYOND * (high - low):
        return AROUND_ZERO if low >= -1 - _BEYOND and high <= 1 + _BEYOND else PREPARED
    if high <= 1 + _BEYOND:
        return UNIT
    return FINER if high > _FAR_BEYOND else BYTES


def known_for(stored: Images) -> dict[str, Preprocessing]:
    """What is tried on images with values as stored, by name: of values 0 to 1 also what wants them times 255."""
    known = KNOWN_OF_UNIT if range_of(stored) == UNIT else KNOWN
    return {name: way for name, way in known.items() if way.fits(stored.shape[-1])}


def stored_alike(sets: Sequence[Dataset]) -> str:
    """The range in which sets, which are all fed to a network in the same way, are stored.

    Raises:
        DatasetError: one is stored in another range than the first.
    """
    first, *others = sets
    wanted = stored_range(first)
    for dataset in others:
        refuse_unlike(dataset, wanted, str(first.path))
    return wanted or BYTES


def refuse_unlike(dataset: Dataset, wanted: str | None, of: str) -> None:
    """See that a set is stored in a range.

    Args:
        wanted: one of RANGES; None fits all. of: what is stored so, such as a file.
    Raises:
        DatasetError: it is stored in another one.
    """
    if dataset.reconstructed:
        return  # it was made here from a clean set, and a pattern may go beyond its range
    found = stored_range(dataset)
    # Around 0 values end where the darkest and brightest happen to: between these two nothing is told.
    if None in (found, wanted) or found == wanted or {found, wanted} == {AROUND_ZERO, PREPARED}:
        return
    raise DatasetError(f"{dataset.path}: its values run {WORDS[str(found)]}, but those of {of} "
                       f"{WORDS[str(wanted)]}; all are fed to the network in the same way. Save both alike.")


def unlike_largest(sets: Sequence[Dataset]) -> str:
    """A doubt where the largest values of two sets lie further apart than those of sets stored alike, by a few images
    of each; nothing where they don't, or where values lie on both sides of 0.

    Raises:
        DatasetError: an image can't be read.
    """
    looked = [(_few_of(dataset), dataset.path.name) for dataset in sets if not dataset.reconstructed]
    found = [(float(images.max()), name) for images, name in looked
             if range_of(images) not in (None, AROUND_ZERO, PREPARED)]
    (least, dark), (most, bright) = min(found, default=(0, "")), max(found, default=(0, ""))
    if most <= _FAR_BRIGHTER * least:
        return ""
    return (f"{dark}: the largest value in a few of its images is {least:.4g}, but {most:.4g} in some of "
            f"{bright}. Where its pictures aren't simply darker, the two are stored in different ranges, and what is "
            "said of them is wrong: save both alike.")


def as_stored(pictures: Images, wanted: str) -> Images:
    """Pictures float32[n, H, W, C] with values 0 to 255 as a set of such a range would hold them.

    Raises:
        DatasetError: nothing tells how.
    """
    _refuse_strange(wanted)
    if wanted == UNIT:
        return pictures / np.float32(255)
    return pictures / np.float32(127.5) - np.float32(1) if wanted == AROUND_ZERO else pictures


def as_pictures(stored: Images, found: str) -> Picture:
    """The way back: images float32[n, H, W, C] of a set of such a range as pictures, uint8[n, H, W, C].

    Raises:
        DatasetError: nothing tells how.
    """
    _refuse_strange(found)
    if found == UNIT:
        stored = stored * np.float32(255)
    elif found == AROUND_ZERO:
        stored = (stored + np.float32(1)) * np.float32(127.5)
    return np.rint(stored).clip(0, 255).astype(np.uint8)


def for_display(images: Images, within: tuple[float, float] | None = None) -> Picture:
    """Pixels for the screen from values of any range, float32[..., C], as stored or as a network takes them.

    Values from 0 to 1 are taken for parts of white, other values from 0 up as they are (at most 255); where there are
    negative ones, all are stretched from the lowest to the highest.

    Args:
        within: the lowest and the highest value of the set they are of; None takes their own.
    """
    low, high = within or (float(images.min()), float(images.max()))
    if low < 0:
        images = (images - low) * np.float32(255 / (high - low or 1))
    elif high <= 1:
        images = images * np.float32(255)
    return np.rint(images).clip(0, 255).astype(np.uint8)


def _refuse_strange(found: str) -> None:
    if found in (PREPARED, FINER):
        raise DatasetError(f"Pictures can't be checked with this GoodNet: its clean images were stored with values "
                           f"{WORDS[found]}, and nothing tells how those were made. Make it from images stored as "
                           "0 to 255, or measure it on images stored like those.")
