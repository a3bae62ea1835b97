"""Files that are one data set in pieces, such as data-00000-of-00004.tar or CIFAR's data_batch_1.bin to 5.

Such a set is named by a pattern, data-*-of-00004.tar: a path with a star where the pieces' numbers stand.
"""

from __future__ import annotations

import errno
import itertools
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from engine.data.classes import few
from engine.data.labels import MOST_LABEL_BYTES
from engine.data.sources.listings import labels_of
from engine.data.sources.readers import Reader, ReadSlice, check_unchanged, stamp
from engine.errors import DatasetError
from engine.files.pictures import entries
from engine.quarantine.wire import Array

_STAR = "*"
_MOST_PIECES = 10_000
_ENDINGS = (".tar", ".tfrecord", ".tfrecords", ".parquet", ".h5", ".hdf5", ".npz", ".bin", ".gz")
_SIMPLE = "|".join(ending[1:] for ending in _ENDINGS)
# What stands before a piece's number, the number (or a star), and what stands behind it.
_PIECES = tuple(re.compile(piece, re.IGNORECASE) for piece in (
    rf"(.*-)(\d{{3,}}|\*)(-of-\d{{3,}}(?:.*\.(?:{_SIMPLE}))?)", r"(data_batch_)(\d|\*)(\.bin)",
    # Numbered .h5 files may be models.
    rf"(.*[-_])(\d{{3,}}|\*)(\.(?!h5|hdf5)(?:{_SIMPLE}))"))
_TOTAL = re.compile(r"-of-(\d+)", re.IGNORECASE)


def pattern_of(name: str) -> str | None:
    """The pattern of the set that a file of this name is a piece of; None where it is a set by itself."""
    found = next(filter(None, (piece.fullmatch(name) for piece in _PIECES)), None)
    return f"{found[1]}{_STAR}{found[3]}" if found else None


def _number_in(name: str, pattern: str) -> int:
    """The number of a piece, by its name and its set's pattern."""
    before, _, after = pattern.partition(_STAR)
    return int(name[len(before):len(name) - len(after)])


def is_pattern(path: Path) -> bool:
    """Whether a path stands for the pieces of a set."""
    return _STAR in path.name and pattern_of(path.name) == path.name


def pieces(path: Path) -> list[Path]:
    """The files of a pattern by rising numbers.

    Raises:
        DatasetError: one is missing, there are more than the names say or absurdly many, or two have one number.
        OSError: the folder can't be read, or there are none.
    """
    numbers: dict[int, str] = {}
    for entry in entries(path.parent):
        if entry.name != path.name and pattern_of(entry.name) == path.name and entry.is_file():
            number = _number_in(entry.name, path.name)
            if number in numbers:
                one, other = sorted((numbers[number], entry.name))
                raise DatasetError(f"{path}: {one} and {other} have the same number; one file for each was expected. "
                                   "Move the one that doesn't belong to the set elsewhere.")
            numbers[number] = entry.name
    if not numbers:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(path))
    total = _TOTAL.search(path.name)
    expected = int(total[1]) if total else len(numbers)
    if max(len(numbers), expected) > _MOST_PIECES:
        raise DatasetError(f"{path}: would be {max(len(numbers), expected):,} files; at most {_MOST_PIECES:,} are read "
                           "as one set. Choose a part of them.")
    first = min(*numbers, 1)
    missing = next(number for number in itertools.count(first) if number not in numbers)
    if total and missing < first + expected:
        raise DatasetError(f"{path}: {len(numbers)} of its {expected} files are here; number {missing} is missing. "
                           "Put all of them into one folder.")
    if len(numbers) > expected:
        raise DatasetError(f"{path}: {len(numbers)} files are here, but their names say that there are {expected}. "
                           "Move those that don't belong to the set elsewhere.")
    return [path.with_name(numbers[number]) for number in sorted(numbers)]


def _gap_among(files: Sequence[Path]) -> str:
    """That a number is missing among a set's files whose names don't say how many there are; empty where none is, or
    where more are than aren't, for then the numbers say something else."""
    pattern = pattern_of(files[0].name) or ""
    if not pattern or _TOTAL.search(pattern):
        return ""
    numbers = {_number_in(file.name, pattern) for file in files}
    if not 0 < max(numbers) + 1 - min(numbers) - len(numbers) < len(numbers):
        return ""
    missing = next(number for number in itertools.count(min(numbers)) if number not in numbers)
    return f"Of its files up to number {max(numbers)} number {missing} isn't here, so images may be missing."


def joined(paths: Sequence[Path]) -> list[Path]:
    """Paths in their order, those that are pieces of one set replaced by its pattern.

    A single file whose name says of how many it is one stands for all of them.
    """
    patterns = [path.with_name(pattern_of(path.name) or path.name) for path in paths]
    times = Counter(patterns)
    many = [is_pattern(pattern) and (times[pattern] > 1 or bool(_TOTAL.search(pattern.name)))
            and not path.is_dir() for path, pattern in zip(paths, patterns, strict=True)]
    return list(dict.fromkeys(pattern if of_many else path
                              for path, pattern, of_many in zip(paths, patterns, many, strict=True)))


def sets_in_pieces(folder: Path) -> list[Path]:
    """The sets that a folder of data files alone holds, patterns and files; none where none is in pieces.

    Raises:
        DatasetError, OSError: as files.pictures.entries.
    """
    files: list[Path] = []
    for entry in entries(folder):
        if not entry.name.startswith("."):
            if entry.is_dir():
                return []  # pictures by sub-folders
            if entry.name.lower().endswith(_ENDINGS) or _TOTAL.search(entry.name):
                files.append(folder / entry.name)
    found = joined(sorted(files))
    return found if any(map(is_pattern, found)) else []


def within_memory(opened: Iterable[Reader]) -> list[Reader]:
    """Pieces one after the other, as long as memory should hold the labels of all together.

    Raises:
        DatasetError: it shouldn't.
    """
    readers, held = [], 0
    for reader in opened:
        held += max(reader.labels.nbytes, reader.shape[0] * np.dtype(np.int64).itemsize)
        if held > MOST_LABEL_BYTES:
            raise DatasetError(f"{reader.files[0]}: with it the set has more labels than memory should hold "
                               f"({MOST_LABEL_BYTES:,} bytes). Choose a part of its files.")
        readers.append(reader)
    return readers


class PiecesReader:
    """Several files one after the other as one set. See readers.Reader."""

    pictures: Sequence[Path] = ()

    def __init__(self, readers: Sequence[Reader]) -> None:
        """Take opened pieces.

        Raises:
            DatasetError: they don't belong together.
        """
        first = readers[0]
        for reader in readers:
            if reader.shape[1:] != first.shape[1:] or reader.dtype != first.dtype \
                    or bool(reader.known_names) != bool(first.known_names):
                raise DatasetError(f"{reader.files[0]}: its images or labels are of another kind than those of "
                                   f"{first.files[0].name}, so they aren't pieces of one set. Choose each by itself.")
            if reader.class_names != first.class_names:
                here, there = (few(called) or "nothing" for called in (reader.class_names, first.class_names))
                raise DatasetError(f"{reader.files[0]}: calls its labels otherwise or in another order than "
                                   f"{first.files[0].name} does ({here}; {there} there), so the same "
                                   "number would stand for two classes. Choose each by itself, or save them alike.")
        self._readers = readers
        self._stamps = [[stamp(file) for file in reader.files] for reader in readers]
        self.depth = first.depth
        self.reconstructed = any(reader.reconstructed for reader in readers)
        self.format, self.names_are = f"{first.format} in {len(readers)} files", first.names_are
        self.block, self.dtype = max(reader.block for reader in readers), first.dtype
        self._ends = np.cumsum([reader.shape[0] for reader in readers]).tolist()
        self.shape: tuple[int, ...] = (self._ends[-1], *first.shape[1:])
        self.known_names: tuple[str, ...] = tuple(sorted({name for reader in readers for name in reader.known_names}))
        self.class_names = first.class_names
        self.named: Sequence[str] = [name for reader in readers for name in reader.named]
        self.files: Sequence[Path] = [file for reader in readers for file in reader.files]
        gap = _gap_among([reader.files[0] for reader in readers])
        self.notes: tuple[str, ...] = tuple(dict.fromkeys(
            (*filter(None, [gap]), *(note for reader in readers for note in reader.notes))))
        self.labels: Array = self._numbers()

    @contextmanager
    def open(self) -> Iterator[ReadSlice]:
        """See Reader; one piece is open at a time."""
        with ExitStack() as stack:
            now: list[tuple[int, ReadSlice]] = []

            def read(start: int, stop: int) -> Array:
                found = []
                for number, (reader, end) in enumerate(zip(self._readers, self._ends, strict=True)):
                    begin = end - reader.shape[0]
                    first, last = max(start, begin), min(stop, end)
                    if first < last:
                        if not now or now[0][0] != number:
                            stack.close()
                            now[:] = [(number, stack.enter_context(reader.open()))]
                        found.append(now[0][1](first - begin, last - begin))
                        self._check_unchanged(number)
                return found[0] if len(found) == 1 else np.concatenate(found)

            yield read

    def _check_unchanged(self, number: int) -> None:
        for file, before in zip(self._readers[number].files, self._stamps[number], strict=True):
            check_unchanged(file, before, "its set")

    def _numbers(self) -> Array:
        """Labels of all pieces: names count anew, because a piece doesn't know those of the others."""
        if not self.known_names:
            widths = {reader.labels.reshape(reader.shape[0], -1).shape[1] for reader in self._readers}
            if len(widths) > 1:
                raise DatasetError(f"{self.files[0]}: its labels have another shape than those of the other pieces. "
                                   "Save them all alike.")
            return np.concatenate([reader.labels.reshape(reader.shape[0], -1) for reader in self._readers])
        place = {name: number for number, name in enumerate(self.known_names)}
        return np.asarray(labels_of(self.known_names))[[place[name] for name in self.named]]
