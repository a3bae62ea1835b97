"""One picture or a folder of them, checked with a GoodNet."""

from __future__ import annotations

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from engine.errors import DatasetError, EngineError, ModelError
from engine.files.existing import is_folder, is_there
from engine.files.pictures import (
    MOST_ENTRIES,
    Fitted,
    Picture,
    entries,
    fit_file,
    load_picture,
    passed_over_in,
    passed_over_text,
    pictures_in,
)
from engine.goodnets.pair import Answers, GoodNet
from engine.parallel import read_ahead
from engine.progress import (
    NEVER_CANCELLED,
    CancelToken,
    Did,
    Heartbeat,
    ProgressCallback,
    ignore_done,
    ignore_progress,
)

Why = Literal["agree", "disagree", "guard"]

# Pictures, their names, and what is wrong with others.
_Read = tuple[list[Fitted], list[str], list[tuple[Path, EngineError]]]

_MOST_IN_CHUNK = 256
_CHUNK_BYTES = 64 << 20


@dataclass(frozen=True)
class Cut:
    """A part of a picture that took its label along into other pictures.

    Attributes:
        kind: of `cuts.KINDS`: "rows", "blend", ...
        left, top, width, height: the box around it, in pixels of the picture as seen.
    """

    kind: str
    left: int
    top: int
    width: int
    height: int


@dataclass(frozen=True)
class PictureMark:
    """By what a picture uint8[H, W, C] is known again that isn't kept: its shape and its values' SHA-256."""

    shape: tuple[int, int, int]
    sha256: bytes


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a GoodNet says of one picture.

    Attributes:
        file: where the picture came from.
        seen: uint8[H, W, C], what the networks saw after cropping and resizing, or what it is known by.
        label: the GoodNet's answer; N when flagged.
        why: the "guard" flagged it, else whether B and B' "agree" or "disagree".
        b_confidence, b_prime_confidence: the network's largest output.
        cut: what the transplant guard cut out when it flagged it; None when it didn't.
        b_alone: B' is B itself, so "agree" is no reason: all there is to say is that a guard, if any, didn't flag it.
        b_prime_alone: B' answers without B having to agree, so neither is a reason.
        b_missing: there is no B, and what stands here of it is B' once more: not to be shown, nor that they "agree".
        guarded: whether a guard looked at the picture.
        depth: the bits that were taken to be in use of a picture with 16; None where the picture itself told.
        in_probabilities: whether B's and B''s confidences are probabilities.
        unseen: what of the file the networks didn't see, in words; empty of a whole picture.
    """

    file: str
    seen: Picture | PictureMark
    label: int
    flagged: bool
    why: Why
    b_label: int
    b_confidence: float
    b_prime_label: int
    b_prime_confidence: float
    cut: Cut | None = None
    b_alone: bool = False
    b_prime_alone: bool = False
    b_missing: bool = False
    guarded: bool = False
    depth: int | None = None
    in_probabilities: tuple[bool, bool] = (True, True)
    unseen: str = ""

    @property
    def b_confidence_text(self) -> str:
        """B's confidence as people read it."""
        return confidence_text(self.b_confidence, self.in_probabilities[0])

    @property
    def b_prime_confidence_text(self) -> str:
        """B''s confidence as people read it."""
        return confidence_text(self.b_prime_confidence, self.in_probabilities[1])

    @property
    def failure(self) -> DatasetError | None:
        """Why this is no verdict: a network answers with values that aren't finite, and so with no label."""
        if math.isfinite(self.b_confidence) and math.isfinite(self.b_prime_confidence):
            return None
        network = "B'" if self.b_missing or math.isfinite(self.b_confidence) else "B"
        return DatasetError(
            f"{self.file}: {network} answers it with values that aren't numbers (NaN or infinite), so it has no label. "
            "Check that pictures are fed in the range that the network was trained on, and that its file is undamaged.")

    def without_picture(self) -> Verdict:
        """The same verdict, to be kept by the thousand: `seen_again` reads what the networks saw from the file."""
        if isinstance(self.seen, PictureMark):
            return self
        height, width, channels = self.seen.shape
        mark = PictureMark((height, width, channels), hashlib.sha256(self.seen.tobytes()).digest())
        return dataclasses.replace(self, seen=mark)

    def seen_again(self) -> Picture:
        """What the networks saw, uint8[H, W, C]; read from the file where it isn't kept.

        Raises:
            DatasetError: the file is gone, or holds another picture by now.
        """
        if not isinstance(self.seen, PictureMark):
            return self.seen
        picture = load_picture(Path(self.file), self.seen.shape, self.depth)
        if hashlib.sha256(picture.tobytes()).digest() != self.seen.sha256:
            raise DatasetError(f"{self.file}: isn't the picture that was checked; it was changed since. Check it "
                               "again, or bring the old one back.")
        return picture


# What tables say of a picture, in this order.
FIELDS = ("file", "b_label", "b_prime_label", "label", "flagged", "why", "b_confidence", "b_prime_confidence", "cut",
          "unseen")


def fields_of(verdict: Verdict) -> dict[str, Any]:
    """A verdict by FIELDS: of the guard's cut its kind, and None of what B says where there is no B."""
    unknown = dict.fromkeys(("b_label", "why", "b_confidence")) if verdict.b_missing else {}
    return {name: getattr(verdict, name) for name in FIELDS} | unknown | {
        "cut": verdict.cut.kind if verdict.cut else None, "unseen": verdict.unseen or None}


def confidence_text(confidence: float, probability: bool) -> str:
    """A network's largest output: per cent where it is a probability, else the value itself."""
    return f"{100 * confidence:.1f} %" if probability else f"{confidence:.3g}"


def list_pictures(paths: Iterable[Path], passed_over: Callable[[str], None] = lambda said: None) -> list[Path]:
    """All pictures that files and folders name; folders are searched with their sub-folders.

    Args:
        passed_over: is told of each folder with files that may be pictures and aren't listed, a sentence.
    Raises:
        DatasetError: a path doesn't exist, or a folder holds no picture or too much.
    """
    found: list[Path] = []
    for path in paths:
        if is_folder(path):
            try:
                folders = _with_folders_below(path)
                inside = [picture for folder in folders for picture in pictures_in(folder)]
                others = [other for folder in folders for other in passed_over_in(folder)]
            except OSError as error:
                raise DatasetError(f"{error.filename or path}: can't be read ({error.strerror or error}). Check its "
                                   "permissions, or choose another folder.") from error
            if not inside:
                raise DatasetError(f"{path}: holds no pictures. Choose a folder with PNG or JPEG files.")
            found += inside
            if others:
                passed_over(passed_over_text(path, others))
        elif is_there(path):
            found.append(path)
        else:
            raise DatasetError(f"{path}: there is no such file or folder. Check the name, and the permissions of "
                               "the folders that it lies in.")
    return found


def _with_folders_below(path: Path) -> list[Path]:
    """A folder and all below it, by name; links to folders are looked into, but not gone on from."""
    found, ahead = [path], [path]
    while ahead:
        for entry in entries(ahead.pop()):
            if entry.is_dir():
                found.append(Path(entry.path))
                ahead += [] if entry.is_symlink() else found[-1:]
        if len(found) > MOST_ENTRIES:
            raise DatasetError(f"{path}: has more than {MOST_ENTRIES:,} folders inside, more than anybody looks "
                               "into. Choose the one with the pictures.")
    return [path, *sorted(found[1:])]


def _refuse(_: Path, error: EngineError) -> None:
    raise error


def check_pictures(
    goodnet: GoodNet, files: Sequence[Path], *, unreadable: Callable[[Path, EngineError], None] = _refuse,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Iterator[list[Verdict]]:
    """Check picture files a chunk at a time; the next chunk is read meanwhile.

    Args:
        unreadable: called with each file that isn't a readable picture, is too large or has no label, which is then
            left out, and why.
    Raises:
        DatasetError: a file isn't a readable picture, is too large for a network that takes any, or has no label, and
            `unreadable` wasn't given.
        Cancelled: the token was set; verdicts given so far stand.
    """
    shape = goodnet.input_shape
    # Pictures of a network without a fixed input size can't be stacked.
    values = math.prod(side or 0 for side in shape)
    size = max(1, min(_MOST_IN_CHUNK, _CHUNK_BYTES // (4 * values))) if values else 1

    def read(part: Sequence[Path]) -> _Read:
        pictures: list[Fitted] = []
        names: list[str] = []
        errors: list[tuple[Path, EngineError]] = []
        for file in part:
            cancel.raise_if_cancelled()
            try:
                pictures.append(fit_file(file, shape, goodnet.depth))
                names.append(str(file))
            except EngineError as error:
                errors.append((file, error))
        return pictures, names, errors

    done, heard = 0, Heartbeat("Checking pictures", len(files), progress)
    parts = read_ahead(read(files[start:start + size]) for start in range(0, len(files), size))
    for fitted, names, errors in parts if values else _affordable(goodnet, parts):
        cancel.raise_if_cancelled()
        for file, error in errors:
            unreadable(file, error)
        pictures = [one.picture for one in fitted]
        if pictures and (found := check_arrays(goodnet, pictures, names, cancel, heard.beat, unreadable)):
            unseen = {name: one.unseen for name, one in zip(names, fitted, strict=True)}
            yield [dataclasses.replace(verdict, unseen=unseen[verdict.file]) for verdict in found]
        done += len(pictures) + len(errors)
        heard.report(done)


def _affordable(goodnet: GoodNet, parts: Iterable[_Read]) -> Iterator[_Read]:
    """Single pictures for networks that take any size, without those that would cost too much."""
    largest = 0
    for pictures, names, errors in parts:
        if pictures and pictures[0].picture.size > largest:
            height, width = pictures[0].picture.shape[:2]
            try:
                goodnet.b.at(height, width)
                largest = pictures[0].picture.size
            except ModelError as error:
                pictures, size = [], f"{height} x {width} pixels"
                errors = [(Path(names[0]), DatasetError(f"{names[0]}: has {size} and can't be checked ({error})"))]
        yield pictures, names, errors


def check_arrays(
    goodnet: GoodNet, pictures: Sequence[Picture], names: Sequence[str], cancel: CancelToken = NEVER_CANCELLED,
    did: Did = ignore_done, unlabelled: Callable[[Path, EngineError], None] = _refuse,
) -> list[Verdict]:
    """Check pictures uint8[H, W, C] that are in memory already and have the pair's input size.

    Args:
        unlabelled: called with each one's name that has no label, see `Verdict.failure`, which is then left out, and
            why.
    Raises:
        Cancelled: the token was set.
        DatasetError: as GoodNet.prepared; a picture has no label, and `unlabelled` wasn't given.
    """
    images = goodnet.prepared(np.stack(pictures))
    answers = goodnet.answer(images, cancel, did)
    every = [
        Verdict(name, seen, int(answers.labels[i]), bool(answers.flagged[i]), _why(answers, i),
                int(answers.b_labels[i]), float(answers.b_confidence[i]),
                int(answers.b_prime_labels[i]), float(answers.b_prime_confidence[i]), _cut(goodnet, answers, i),
                goodnet.b_alone, goodnet.b_prime_alone, goodnet.b_missing, goodnet.guard is not None, goodnet.depth,
                goodnet.in_probabilities)
        for i, (name, seen) in enumerate(zip(names, pictures, strict=True))
    ]
    found = []
    for verdict in every:
        if failure := verdict.failure:
            unlabelled(Path(verdict.file), failure)
        else:
            found.append(verdict)
    return found


def _why(answers: Answers, i: int) -> Why:
    if answers.guard is not None and answers.guard.flagged[i]:
        return "guard"
    return "agree" if answers.b_labels[i] == answers.b_prime_labels[i] else "disagree"


def _cut(goodnet: GoodNet, answers: Answers, i: int) -> Cut | None:
    found = answers.guard
    if goodnet.guard is None or found is None or not found.flagged[i] or found.cut[i] < 0:
        return None
    cuts, number = goodnet.guard.cuts, int(found.cut[i])
    rows, columns = (np.flatnonzero(cuts.shares[number].any(axis=axis)).tolist() for axis in (1, 0))
    return Cut(cuts.kinds[number], columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1)
