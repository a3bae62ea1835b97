"""What is odd about a data set, a sentence each, before hours are spent on it.

What can't be used at all is refused when a file is opened; here is what opens and is wrong all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.data.datasets import CHUNK, Dataset, Images
from engine.data.targets import are_few
from engine.errors import DatasetError
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback, ignore_progress

Level = Literal["error", "warning", "note"]
Role = Literal["validation", "test", "poisoned"]
Hashes = npt.NDArray[np.uint64]

# A label is called frequent when it has so many times the images of the average one.
_FREQUENT = 10
_MOST_NAMED = 5


@dataclass(frozen=True)
class Finding:
    """A level for icons ("error": can't be used so; "warning": look at it; "note": good to know) and a sentence."""

    level: Level
    sentence: str


@dataclass(frozen=True)
class RangeSeen:
    """Lowest and highest value of the images looked at, as stored."""

    lowest: float
    highest: float


def quick_look(
    dataset: Dataset, images: Images, role: Role | None = None, labels: int | None = None,
) -> tuple[Finding, ...]:
    """Findings from a set's labels and some of its images, quick enough for a file picker.

    Args:
        dataset: as opened, not scaled.
        images: some of its images, such as those of `dataset.sample`.
        role: what it is to be used for; None when that isn't known.
        labels: number of labels of the network; None when there is none yet.
    """
    found = [*_about_labels(dataset, role, labels), *_about_range(dataset, _range_of(images)), *_notes_of(dataset)]
    constant = int(_constant(images).sum())
    if constant:
        found.append(_constant_finding(constant, len(images), "looked at"))
    return tuple(found)


def examine(
    sets: Sequence[tuple[Role, Dataset]], labels: int | None = None, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> tuple[tuple[Finding, ...], ...]:
    """Findings from every image of every set, those that lie between sets included.

    Memory is one chunk's and 8 bytes an image.

    Args:
        sets: as opened, not scaled, with what each is used for.
        labels: number of labels of the network; None when there is none yet.
    Returns:
        One tuple a set. A set that can't be read to its end has the reason among its findings.
    Raises:
        Cancelled: the token was set.
    """
    total = sum(len(dataset) for _, dataset in sets)
    done, found, hashes = 0, [], []
    for role, dataset in sets:
        own = _about_labels(dataset, role, labels)
        seen: list[Hashes] = []
        lowest, highest, constant = np.inf, -np.inf, 0
        try:
            for chunk in dataset.chunks(CHUNK):
                cancel.raise_if_cancelled()
                seen.append(_hashes(chunk.images))
                constant += int(_constant(chunk.images).sum())
                part = _range_of(chunk.images)
                lowest, highest = min(lowest, part.lowest), max(highest, part.highest)
                progress(Progress(f"Examining {dataset.name}", done + chunk.start + len(chunk.labels), total))
            own += [*_about_range(dataset, RangeSeen(lowest, highest)), *_notes_of(dataset)]
        except DatasetError as error:
            own.append(Finding("error", str(error)))
        if constant:
            own.append(_constant_finding(constant, len(dataset), "in it"))
        done += len(dataset)
        hashes.append(np.concatenate(seen) if seen else np.empty(0, np.uint64))
        found.append(own)
    for number, own in enumerate(found):
        own += _about_duplicates(number, sets, hashes)
    return tuple(tuple(own) for own in found)


def _about_labels(dataset: Dataset, role: Role | None, labels: int | None) -> list[Finding]:
    numbers, counts = np.unique(dataset.labels, return_counts=True)
    found: list[Finding] = []
    if labels is not None and numbers[-1] >= labels:
        found.append(Finding("error", f"It holds the label {numbers[-1]}, but the network has labels 0 to {labels - 1} "
                                      "only: choose the data set that belongs to the network."))
    if role == "poisoned":
        if not are_few(len(numbers), labels):
            found.append(Finding("error", f"Its labels differ ({_listed(numbers)}), but all labels of a poisoned set "
                                          "must be the attacker's target: choose it as a clean set, or label it anew."))
        elif len(numbers) > 1:
            found.append(Finding("note", f"Its labels differ ({_listed(numbers)}): each is taken as the target of a "
                                         "set of its own. If they are the true labels, choose it as a clean set."))
        return found
    if len(numbers) == 1 and len(dataset) > 1:
        like = Finding("warning" if role else "note",
                       f"All its {len(dataset):,} images have the label {numbers[0]}, as in a poisoned set: "
                       + ("choose a clean set here." if role else "use it as a poisoned set, not as a clean one."))
        return [*found, like]
    missing = labels - len(numbers) if labels is not None else 0
    if labels is not None and missing > 0:
        absent = np.setdiff1d(np.arange(labels), numbers)
        found.append(Finding("note", f"{missing:,} of the network's {labels:,} labels have no image in it "
                                     f"({_listed(absent)}): nothing is measured on them; add images to change that."))
    if counts.max() > _FREQUENT * counts.mean():
        found.append(Finding("note", f"Label {numbers[counts.argmax()]} has {counts.max():,} of its {len(dataset):,} "
                                     "images, so it weighs most in every figure: use as many images of each label."))
    return found


def _about_range(dataset: Dataset, seen: RangeSeen) -> list[Finding]:
    lowest, highest = f"{seen.lowest:g}", f"{seen.highest:g}"
    whole = np.dtype(dataset.dtype).kind in "ui"
    if seen.highest == seen.lowest:
        return []  # nothing but constant images, which is said already
    if whole and seen.lowest >= 0 and seen.highest <= 1:
        return [Finding("warning", f"Its values are whole numbers from {lowest} to {highest}, so nearly nothing is "
                                   "left of the pictures: save them again from 0 to 255.")]
    if seen.lowest >= 0 and seen.highest <= 1:
        return [Finding("note", "Its values run from 0 to 1: whether the network wants them so or times 255 is found "
                                "out on the clean images, unless you choose.")]
    if seen.lowest < 0:
        return [Finding("note", f"Its values run from {lowest} to {highest}, below 0: right only for a network whose "
                                "pictures were prepared in the same way; otherwise save them again from 0 to 255.")]
    if seen.highest > 255:
        return [Finding("warning", f"Its values run up to {highest}, beyond the 255 of ordinary pictures: save them "
                                   "again from 0 to 255.")]
    return []


def _notes_of(dataset: Dataset) -> list[Finding]:
    return [Finding("note", note) for note in dataset.notes]


def _about_duplicates(number: int, sets: Sequence[tuple[Role, Dataset]], hashes: Sequence[Hashes]) -> list[Finding]:
    """A clean set is compared with the clean ones before it, a poisoned one with all clean ones."""
    role, dataset = sets[number]
    found = []
    repeated = len(hashes[number]) - len(np.unique(hashes[number]))
    if repeated:
        found.append(Finding("note", f"{repeated:,} of its {len(dataset):,} images are copies of others in it, so its "
                                     "figures are less certain than they look: leave the copies out."))
    for other, (other_role, other_set) in enumerate(sets):
        if other_role == "poisoned" or (role != "poisoned" and other >= number):
            continue
        common = int(np.isin(hashes[number], hashes[other]).sum())
        if not common:
            continue
        if role == "poisoned":
            says = "unchanged, so they carry no trigger: leave them out."
        else:
            says = "too, so what is measured here isn't independent of it: use different images."
        found.append(Finding("warning", f"{common:,} of its {len(dataset):,} images are in {other_set.path.name} "
                                        f"{says}"))
    return found


def _constant_finding(count: int, of: int, where: str) -> Finding:
    return Finding("warning", f"{count:,} of the {of:,} images {where} are of a single value, such as all black: "
                              "check how they were saved, or leave them out.")


def _range_of(images: Images) -> RangeSeen:
    return RangeSeen(float(images.min()), float(images.max()))


def _constant(images: Images) -> npt.NDArray[np.bool_]:
    flat = images.reshape(len(images), -1)
    constant: npt.NDArray[np.bool_] = flat.min(axis=1) == flat.max(axis=1)
    return constant


def _hashes(images: Images) -> Hashes:
    """Eight bytes an image; two different ones among a million share them with a chance of 1 in 30 million."""
    return np.array([int.from_bytes(hashlib.blake2b(image.tobytes(), digest_size=8).digest(), "little")
                     for image in images], np.uint64)


def _listed(numbers: npt.NDArray[np.int64]) -> str:
    named = ", ".join(str(n) for n in numbers[:_MOST_NAMED])
    return named if len(numbers) <= _MOST_NAMED else f"{named} and {len(numbers) - _MOST_NAMED:,} more"
