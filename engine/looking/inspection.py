"""What a file is, said without loading TensorFlow."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.data.datasets import ANY_SHAPE, UNKNOWN_STAMP, Dataset, open_dataset
from engine.data.doctor import Finding, quick_look
from engine.data.preprocessing import Preprocessing
from engine.data.sources.beginnings import kind_of_data
from engine.errors import DatasetError, EngineError, NoModel, UnfitError
from engine.files.existing import is_folder
from engine.models.architecture import ModelDescription, describe_model
from engine.models.reading import is_saved_model

_LOOK_IMAGES = 64


@dataclass(frozen=True)
class DatasetDescription:
    """A data set's content; the value range is that of up to 64 images spread over it.

    `findings` are what is odd about it at first sight; `label_names` are all names by which its images are labelled,
    and `names_are` what these are called; `class_names` are what label numbers are called, where the file says so;
    `reconstructed` says that its trigger was computed from a network; `stamp` is Dataset.stamp.
    """

    path: Path
    format: str
    images: int
    image_shape: tuple[int, ...]
    stored_shape: tuple[int, ...]
    dtype: str
    labels: int
    lowest_label: int
    highest_label: int
    value_range: tuple[float, float]
    findings: tuple[Finding, ...] = ()
    label_names: tuple[str, ...] = ()
    names_are: str = "sub-folders"
    class_names: tuple[str, ...] = ()
    reconstructed: bool = False
    stamp: tuple[int, int] = UNKNOWN_STAMP


def inspect(
    path: Path, output: str | None = None, classes: tuple[str, ...] = (), fed: Preprocessing | None = None,
) -> ModelDescription | DatasetDescription:
    """Say what a file or folder is: a model or a data set.

    Args:
        output: of a model with several outputs the name of the one that tells the labels.
        classes: what labels of images stand for; none to take the images' own word.
        fed: what is done with values of images before their range is told; None to tell it as stored.
    Raises:
        EngineError: neither; the message is that of the likelier of the two.
    """
    def described() -> DatasetDescription:
        return describe_dataset(open_any_dataset(path).named(classes), fed)

    if (is_folder(path) and not is_saved_model(path)) or path.suffix.lower() == ".npz" or _is_packed_data(path):
        return described()
    try:
        return describe_model(path, output)
    except EngineError as as_model:
        if path.suffix.lower() == ".keras":
            raise
        try:
            return described()
        except DatasetError as as_data:
            raise as_data if isinstance(as_model, NoModel) else as_model from None


def _is_packed_data(path: Path) -> bool:
    """Whether a file begins as those do that hold data only; HDF5 and archives may hold models, too."""
    try:
        return kind_of_data(path) not in ("hdf5", "npz")
    except (EngineError, OSError):
        return False  # a pickle may be another program's model, of which opening says more


def open_any_dataset(path: Path) -> Dataset:
    """Open a data set without a network to compare it with; colour is tried before grey."""
    try:
        return open_dataset(path, ANY_SHAPE)
    except UnfitError as error:
        try:
            return open_dataset(path, (None, None, 1))
        except UnfitError:
            raise error from None


def describe_dataset(dataset: Dataset, fed: Preprocessing | None = None) -> DatasetDescription:
    """Describe an opened data set.

    Args:
        fed: as inspect's.
    Raises:
        DatasetError: its images can't be read.
    """
    images = dataset.take(dataset.sample(_LOOK_IMAGES))
    told = dataset.prepared(fed).preprocessing.applied(images.copy()) if fed else images
    return DatasetDescription(
        dataset.path, dataset.format, len(dataset), dataset.image_shape, dataset.stored_shape, dataset.dtype,
        len(np.unique(dataset.labels)), int(dataset.labels.min()), int(dataset.labels.max()),
        (float(told.min()), float(told.max())), quick_look(dataset, images),
        dataset.label_names, dataset.names_are, dataset.class_names, dataset.reconstructed, dataset.stamp)


def description_json(found: ModelDescription | DatasetDescription) -> dict[str, Any]:
    """A description as plain JSON values."""
    if isinstance(found, ModelDescription):
        return {"kind": "model", "path": str(found.path), "format": found.format, "sha256": found.sha256,
                "parameters": found.parameters, "input_shape": list(found.input_shape or ()), "labels": found.labels,
                "default_layer": found.default_layer, "outputs": list(found.outputs), "output": found.output,
                "class_names": list(found.classes),
                "findings": [{"level": "note", "sentence": found.default_note}] if found.default_note else [],
                "layers": [{"name": layer.name, "kind": layer.kind, "shape": list(layer.shape or ()),
                            "channels": layer.channels} for layer in found.layers]}
    return {"kind": "dataset", "path": str(found.path), "format": found.format, "images": found.images,
            "image_shape": list(found.image_shape), "stored_shape": list(found.stored_shape), "dtype": found.dtype,
            "labels": found.labels, "lowest_label": found.lowest_label, "highest_label": found.highest_label,
            "value_range": list(found.value_range), "label_names": list(found.label_names),
            "reconstructed": found.reconstructed,
            "findings": [{"level": finding.level, "sentence": finding.sentence} for finding in found.findings]}
