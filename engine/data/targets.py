"""What the attacker wants of poisoned images: one target a set, or one an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

import numpy as np

from engine.data.datasets import Dataset, Labels
from engine.data.subsets import subset
from engine.errors import DatasetError

# An attacker who wants more labels than these has one rule for all images, and as many sets would say nothing.
MOST_TARGETS = 8
_LOOK_IMAGES = 16


def by_target(poisoned: Dataset, labels: int | None, clean: Iterable[Dataset] = ()) -> tuple[Dataset, ...]:
    """A poisoned file as sets of one target each.

    Labels that are too many for that are what a clean set looks like, or an attack that sends each label to another
    one ("all to all"). Such a file stays one set, whose images have a target each, where a clean set shows them to be
    its own images under other labels; else it is refused, since clean images would seem to be a perfect attack.

    Args:
        labels: number of labels of the network; None where that isn't known yet.
        clean: sets that the images may have been made from, prepared in the same way.
    Raises:
        DatasetError: nothing tells the labels from those of a clean set.
    """
    targets = np.unique(poisoned.labels)
    if _are_few(len(targets), labels):
        return tuple(of_target(poisoned, int(target)) for target in targets) if len(targets) > 1 else (poisoned,)
    for dataset in clean:
        truth = true_labels(poisoned, dataset)
        if truth is not None and (truth != poisoned.labels).mean() > 0.5:
            return (poisoned,)
    raise DatasetError(
        f"{poisoned.path}: holds {len(targets)} different labels, as a clean set does; those of a poisoned set must be "
        "the attacker's target. If several triggers have a target each, give a file for each target. If each image "
        "has its own target, choose the clean images that it was made from, in the same order, as a clean set first.")


def told_apart(poisoned: Iterable[Dataset]) -> list[Dataset]:
    """Sets of which no two have one name, as those of a/bd.h5 and b/bd.h5 would: results go by it."""
    told: dict[str, Dataset] = {}
    for dataset in poisoned:
        while dataset.name in told:
            dataset = dataclasses.replace(dataset, number=dataset.number + 1)
        told[dataset.name] = dataset
    return list(told.values())


def _are_few(targets: int, labels: int | None) -> bool:
    """Whether a file with so many targets is taken as a set for each of them.

    Args:
        labels: number of labels of the network, where that is known.
    """
    return targets == 1 or (targets <= MOST_TARGETS and targets != labels)


def of_target(poisoned: Dataset, target: int) -> Dataset:
    """The images that the attacker wants to be answered `target`, of a file that has others too."""
    return subset(poisoned, np.flatnonzero(poisoned.labels == target).tolist(), f"target {target}")


def target_of(poisoned: Dataset) -> int | None:
    """The target of all images of a poisoned set, None where each has its own."""
    first = int(poisoned.labels[0])
    return first if (poisoned.labels == first).all() else None


def unshown_targets(poisoned: Iterable[Dataset], clean: Sequence[Dataset]) -> str:
    """A sentence on files that were parted by target although no clean set shows that their labels are targets."""
    parts = [part for part in poisoned if part.part]
    unshown = {part.path.name for part in parts if all(true_labels(part, dataset) is None for dataset in clean)}
    if not unshown:
        return ""
    return (f"The labels of {' and '.join(sorted(unshown))} were taken as the attacker's targets, each with a set of "
            "its own. If they are the true labels of the images, these are clean ones and show no attack.")


def true_labels(poisoned: Dataset, clean: Dataset) -> Labels | None:
    """The poisoned images' own labels, where they are the clean set's images wearing a trigger, in the same order.

    Found out on 16 images: at least half of each one's values must be the clean image's own, and where that differs
    from the next clean image twice as many its own as the next one's. Else pictures on one dark ground would do.

    Returns:
        int64[n], or None where the sets don't belong together.
    """
    if len(poisoned) != len(clean) or poisoned.image_shape != clean.image_shape:
        return None
    which = clean.spread(_LOOK_IMAGES)
    worn, own = poisoned.take(which), clean.take(which)
    following = np.roll(own, -1, axis=0)
    same, differ = worn == own, own != following
    telling, misleading = ((found & differ).sum(axis=(1, 2, 3)) for found in (same, worn == following))
    belong = (same.mean(axis=(1, 2, 3)) >= 0.5) & (telling >= 2 * misleading)
    return clean.labels if belong.all() else None
