"""Labels looked at by their type and shape before they are read, and those that are words turned into numbers."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import DatasetError
from engine.quarantine.wire import Array, BrokenWireError

# A label as a file has it: a number, or a name in text.
Label = int | str | bytes

MOST_LABEL_BYTES = 1 << 28
_NUMBER_BYTES = np.dtype(np.int64).itemsize
# Labels that are words: so many different ones, so many letters each.
_MOST_NAMES, MOST_LETTERS = 50_000, 200
# What all names may take in UTF-8, so that they fit into one frame of the reader's.
_MOST_NAME_BYTES = 15 << 20
# A label as pandas writes it where another one is missing; below 2 ** 53 such numbers are exact.
_NUMBER, _PRECISE = re.compile(r"[-+]?\d+(\.\d*)?|nan", re.ASCII | re.IGNORECASE), 1 << 53
# An array of this name stands in HDF5 beside images whose trigger was computed from a network.
RECONSTRUCTED = "reconstructed"


def as_name(text: str) -> str:
    """A label's name as all are compared: macOS writes an accent in a file's name as a letter of its own."""
    return unicodedata.normalize("NFC", text)


def check_labels(
    shape: tuple[int, ...], dtype: np.dtype[Any], images: tuple[int, ...], path: Path, *, words: bool = False,
) -> None:
    """Look at labels before they are read.

    Args:
        words: whether they are words, one an image.
    Raises:
        DatasetError: they aren't numbers or words, or not one row an image, or would fill the memory.
    """
    if not words and dtype.kind not in "uifb":
        raise DatasetError(f"{path}: its labels are stored as {dtype}; text or numbers were expected. Save one "
                           "label an image.")
    if words and math.prod(shape) != math.prod(shape[:1]):
        raise DatasetError(f"{path}: its labels are text of shape {shape}; one label an image was expected. Save one "
                           "name an image.")
    if shape[:1] != images[:1]:
        raise DatasetError(f"{path}: has {images[0] if images else 'no'} images but labels of shape {shape}; "
                           "one label an image was expected. Check how images and labels were saved.")
    # As stored, and as the whole numbers that they become.
    if max(math.prod(shape) * dtype.itemsize, math.prod(shape[:1]) * _NUMBER_BYTES) > MOST_LABEL_BYTES:
        raise DatasetError(f"{path}: its labels have the shape {shape}, more than memory should hold. "
                           "Save one label number an image.")


def numbered(labels: Sequence[Label], path: Path) -> tuple[list[str], Array]:
    """Labels as numbers int64[N]: as they are, with no names; or, where one is a word, as `coded` gives them.

    Raises:
        DatasetError: as coded.
    """
    if all(isinstance(label, int) for label in labels):
        try:
            return [], np.array(labels, np.int64)
        except OverflowError as error:
            raise no_whole_numbers(path) from error
    return coded((str(label) if isinstance(label, int) else label for label in labels), path)


def no_whole_numbers(path: Path) -> DatasetError:
    """What is said of labels that are numbers but can't count."""
    return DatasetError(f"{path}: holds labels that aren't whole numbers from 0 up. Check how they were saved.")


def coded(words: Iterable[bytes | str], path: Path) -> tuple[list[str], Array]:
    """Labels that are words as all names there are, in the order of text, and each image's place among them int64[N].

    Numbers that were written with a sign or a point, such as 3.0, are given as these numbers, with no names.

    Raises:
        DatasetError: one isn't text in UTF-8, is empty or too long, or there are too many; or all are numbers, and one
            is below 0 or a fraction.
    """
    places: dict[str, int] = {}
    codes = []
    for number, word in enumerate(words):
        try:
            name = as_name((word if isinstance(word, str) else word.decode("utf-8")).strip("\0").strip())
        except UnicodeDecodeError:
            raise DatasetError(f"{path}: the label of image {number} isn't text in UTF-8. Save the labels again as "
                               "numbers or as text.") from None
        if not name or len(name) > MOST_LETTERS:
            raise DatasetError(f"{path}: the label of image {number} is {'empty' if not name else 'too long'}; the "
                               "name of a label was expected. Check how the labels were saved.")
        codes.append(places.setdefault(name, len(places)))
        if len(places) > _MOST_NAMES:
            raise DatasetError(f"{path}: holds more than {_MOST_NAMES:,} different labels. Check which column or array "
                               "holds them.")
    if all(map(_NUMBER.fullmatch, places)) and not all(map(str.isdecimal, places)):
        values = np.array([float(name) for name in places])
        if not ((values >= 0) & (values < _PRECISE) & (values == np.floor(values))).all():
            raise no_whole_numbers(path)
        return [], values.astype(np.int64)[codes]
    if not _are_short(places):
        raise DatasetError(f"{path}: the names of its labels have more than {_MOST_NAME_BYTES:,} bytes together, more "
                           "than are read. Check which column or array holds the labels, or give them shorter names.")
    names = sorted(places)
    order = {places[name]: place for place, name in enumerate(names)}
    return names, np.array([order[code] for code in codes], np.int64)


def _are_short(names: Iterable[str]) -> bool:
    return sum(len(name.encode("utf-8", "surrogatepass")) for name in names) <= _MOST_NAME_BYTES


def class_names(names: Any) -> tuple[str, ...]:
    """What a file calls its label numbers 0, 1, ...; none where that is no list of different names."""
    fits = isinstance(names, list) and 0 < len(names) <= _MOST_NAMES and all(
        isinstance(name, str) and 0 < len(name) <= MOST_LETTERS for name in names) and _are_short(names)
    named = tuple(map(as_name, names)) if fits else ()
    return named if len(set(named)) == len(named) else ()


def check_codes(names: Any, labels: Array) -> tuple[str, ...]:
    """What `coded` gave, as it came through the wire.

    Raises:
        BrokenWireError: it isn't what `coded` gives.
    """
    if not isinstance(names, list) or len(names) > _MOST_NAMES \
            or not all(isinstance(name, str) and 0 < len(name) <= MOST_LETTERS for name in names):
        raise BrokenWireError("no names")
    if names and (sorted(set(names)) != names or labels.dtype != np.int64 or labels.ndim != 1
                  or (len(labels) and not 0 <= labels.min() <= labels.max() < len(names))):
        raise BrokenWireError("no places among names")
    return tuple(names)
