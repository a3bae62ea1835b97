"""Data of the lab's size, made by repeating and jittering a few faces with a fixed seed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from engine.data.datasets import open_dataset

VALIDATION_IMAGES, TEST_IMAGES = 11_547, 12_830
JITTER = 6
_PIECE = 1000


@dataclass(frozen=True)
class LabSize:
    """A BadNet and files of the lab's size around it."""

    source: str
    model: Path
    validation: Path
    poisoned_validation: Path
    test: Path
    poisoned_test: Path


def make(folder: Path, project: Path) -> LabSize:
    """Write the four sets into a folder; from the lab's real faces where they are, else from the sample's.

    Args:
        folder: an existing folder; files that are there already are kept.
        project: the checkout; the lab's files are looked for in `shared/lab3` beside it.
    """
    lab, sample = project.parent / "shared" / "lab3", project / "data" / "sample"
    if (lab / "bd_weights.h5").is_file():
        source, model = "the lab's 180 faces", lab / "bd_weights.h5"
        clean, poisoned = lab / "clean_faces.h5", lab / "poisoned_faces.h5"
    else:
        source, model = "the sample", sample / "badnet.keras"
        clean, poisoned = sample / "clean_test.h5", sample / "poisoned_test.h5"
    made = LabSize(source, model, *(folder / f"{name}.h5" for name in (
        "validation", "poisoned_validation", "test", "poisoned_test")))
    repeat(clean, made.validation, VALIDATION_IMAGES, seed=0)
    repeat(poisoned, made.poisoned_validation, VALIDATION_IMAGES, seed=1)
    repeat(clean, made.test, TEST_IMAGES, seed=2)
    repeat(poisoned, made.poisoned_test, TEST_IMAGES, seed=3)
    return made


def repeat(source: Path, target: Path, images: int, seed: int) -> None:
    """Repeat a set's images in the lab's layout, each pixel moved by up to 6 of 255; uint8, uncompressed."""
    if target.exists():
        return
    dataset = open_dataset(source)
    height, width, channels = dataset.image_shape
    noise = np.random.default_rng(seed)
    with h5py.File(target, "w") as file:
        data = file.create_dataset("data", (images, channels, height, width), np.uint8,
                                   chunks=(64, channels, height, width))
        for start in range(0, images, _PIECE):
            which = np.arange(start, min(start + _PIECE, images)) % len(dataset)
            stored = dataset.take(which.tolist()).astype(np.int16).transpose(0, 3, 1, 2)
            jitter = noise.integers(-JITTER, JITTER + 1, stored.shape, np.int16)
            data[start:start + len(which)] = np.clip(stored + jitter, 0, 255).astype(np.uint8)
        file["label"] = dataset.labels[np.arange(images) % len(dataset)].astype(np.float64)
