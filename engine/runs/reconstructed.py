"""Poisoned images from a reconstructed trigger: an estimate, and marked as one."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Protocol

import h5py
import numpy as np

from engine.data.datasets import CHUNK, Dataset
from engine.data.labels import RECONSTRUCTED
from engine.data.preprocessing import AS_STORED
from engine.defences.targeted import find_pattern
from engine.errors import DatasetError
from engine.files.saving import for_hdf5, whole_file
from engine.literal import literal
from engine.models.networks import Images
from engine.progress import NEVER_CANCELLED, CancelToken, Heartbeat, ProgressCallback, ignore_progress
from engine.runs.examine import Tried
from engine.runs.opening.inputs import Opened

_MOST_IMAGES = 400


class Trigger(Protocol):
    """What was computed from a network: the label it draws images to, and the way it looks on them."""

    @property
    def label(self) -> int:
        """The label that it draws images to."""
        ...

    def put_on(self, images: Images) -> Images:
        """Images float32[n, H, W, C] in the network's input range with the trigger, as a copy."""
        ...


def write_stand_ins(
    opened: Opened, tried: Sequence[Tried], folder: Path, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> list[Path]:
    """Write poisoned sets that stand in for an attacker's: for each label one with its stamp, one with its colour
    filter, if it has one, and one with a pattern over the whole picture, because a stamp is no likeness of a blended
    picture or of stripes.

    All are put on the images that defences are measured on, and the pattern is found without them; if these show no
    other label, on the images that defences are made from, which flatters those.

    Raises:
        OutputError, DatasetError: as write_reconstructed.
        Cancelled: the token was set.
    """
    making, measuring = opened.to_make_and_measure()
    images = making.take(making.spread(min(_MOST_IMAGES, making.most_at_once)))
    heard, paths = Heartbeat("Making images that stand in for poisoned ones", len(tried), progress), list[Path]()
    for number, one in enumerate(tried, start=1):
        label = one.evidence.label
        pattern = find_pattern(opened.network, images, label, did=heard.beat, cancel=cancel)
        for name, trigger in {**one.triggers, "pattern": pattern}.items():
            paths.append(folder / f"{name}_{label}.h5")
            write_reconstructed(to_wear([label], measuring, making), trigger, paths[-1])
        heard.report(number)
    return paths


def to_wear(labels: Collection[int], *sets: Dataset | None) -> Dataset:
    """The first of clean sets with images of another label for each of these labels' triggers; else the first."""
    there = [clean for clean in sets if clean]
    return next((clean for clean in there if len(np.unique(clean.labels)) > 1 or clean.labels[0] not in labels),
                there[0])


def write_reconstructed(clean: Dataset, trigger: Trigger, path: Path) -> None:
    """Write clean images that wear a reconstructed trigger, in the lab's layout with its label as theirs.

    An array named "reconstructed" stands beside them, so that everything made from the file says what it is.

    Args:
        clean: in the network's input range; images of the trigger's own label are left out.
    Raises:
        OutputError: it can't be written.
        DatasetError: there is no image of another label, or the images can't be read.
    """
    with whole_file(path) as temporary:
        _write(clean, trigger, temporary)


def _write(clean: Dataset, trigger: Trigger, path: Path) -> None:
    others = np.flatnonzero(clean.labels != trigger.label).tolist()
    if not others:
        raise DatasetError(f"{literal(str(clean.path))}: holds images of label {trigger.label} only, so none could "
                           "wear its stamp. Choose clean images of several labels.")
    whole = _are_bytes(clean)
    height, width, channels = clean.image_shape
    with for_hdf5(path) as stream, h5py.File(stream, "w") as file:
        data = file.create_dataset("data", (len(others), channels, height, width), np.uint8 if whole else np.float32,
                                   chunks=(min(CHUNK, len(others)), channels, height, width), compression="gzip")
        file.create_dataset("label", data=np.full(len(others), trigger.label, np.float64))
        file.create_dataset(RECONSTRUCTED, data=np.uint8(1))
        done = 0
        for images, stored in zip(clean.chunks(CHUNK, others), clean.prepared(AS_STORED).chunks(CHUNK, others),
                                  strict=True):
            values = clean.preprocessing.undone(trigger.put_on(images.images), stored.images)
            values = values.transpose(0, 3, 1, 2)
            data[done:done + len(values)] = values.round().clip(0, 255) if whole else values
            done += len(values)


def _are_bytes(clean: Dataset) -> bool:
    """Whether stored values are whole numbers of 0 to 255, of whatever type, as the lab's are; in another range a
    trigger would be cut off or rounded away."""
    first = clean.prepared(AS_STORED).take(clean.sample(16))
    return bool((first == first.round()).all() and first.min() >= 0 and first.max() <= 255 and first.max() > 1)
