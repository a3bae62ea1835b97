"""What is odd about a data set, a sentence each, before hours are spent on it.

What can't be used at all is refused when a file is opened; here is what opens and is wrong all the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from engine.data.datasets import Dataset, Images

# A label is called frequent when it has so many times the images of the average one.
_FREQUENT = 10


@dataclass(frozen=True)
class Finding:
    """A level ("warning": look at it; "note": good to know) and a sentence."""

    level: Literal["warning", "note"]
    sentence: str


def quick_look(dataset: Dataset, images: Images) -> tuple[Finding, ...]:
    """Findings from a set's labels and some of its images, quick enough for a file picker.

    Args:
        dataset: as opened, not scaled.
        images: some of its images, such as those of `dataset.sample`.
    """
    flat = images.reshape(len(images), -1)
    constant = int((flat.min(axis=1) == flat.max(axis=1)).sum())
    found = [*_about_labels(dataset), *_about_range(dataset, float(images.min()), float(images.max())),
             *(Finding("note", note) for note in dataset.notes)]
    if constant:
        found.append(Finding("warning", f"{constant:,} of the {len(images):,} images looked at are of a single value, "
                                        "such as all black: check how they were saved, or leave them out."))
    return tuple(found)


def _about_labels(dataset: Dataset) -> list[Finding]:
    numbers, counts = np.unique(dataset.labels, return_counts=True)
    if len(numbers) == 1 and len(dataset) > 1:
        return [Finding("note", f"All its {len(dataset):,} images have the label {numbers[0]}, as in a poisoned set: "
                                "use it as a poisoned set, not as a clean one.")]
    if counts.max() > _FREQUENT * counts.mean():
        return [Finding("note", f"Label {numbers[counts.argmax()]} has {counts.max():,} of its {len(dataset):,} "
                                "images, so it weighs most in every figure: use as many images of each label.")]
    return []


def _about_range(dataset: Dataset, lowest: float, highest: float) -> list[Finding]:
    whole = np.dtype(dataset.dtype).kind in "ui"
    if highest == lowest:
        return []  # nothing but constant images, which is said already
    if whole and lowest >= 0 and highest <= 1:
        return [Finding("warning", f"Its values are whole numbers from {lowest:g} to {highest:g}, so nearly nothing is "
                                   "left of the pictures: save them again from 0 to 255.")]
    if lowest >= 0 and highest <= 1:
        return [Finding("note", "Its values run from 0 to 1: whether the network wants them so or times 255 is found "
                                "out on the clean images, unless you choose.")]
    if lowest < 0:
        return [Finding("note", f"Its values run from {lowest:g} to {highest:g}, below 0: right only for a network "
                                "whose pictures were prepared in the same way; otherwise save them again from 0 to "
                                "255.")]
    if highest > 255:
        return [Finding("warning", f"Its values run up to {highest:g}, beyond the 255 of ordinary pictures: save them "
                                   "again from 0 to 255.")]
    return []
