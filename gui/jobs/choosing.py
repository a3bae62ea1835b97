"""Choosing what to work on: each file is read and checked in its role, off the GUI thread."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PySide6.QtCore import QObject, Signal

from engine.data.datasets import Dataset, open_dataset
from engine.errors import ModelError
from engine.looking.inspection import describe_dataset, open_any_dataset
from engine.models.architecture import ModelDescription, describe_model
from engine.models.shapes import Shape
from engine.pruning.sweep import SweepSet, empty_counts
from gui.jobs.opening import Opening
from gui.messages import Message, words
from gui.session import sample
from gui.session.chosen import DatasetLook, Input, Inputs, Role
from gui.session.queue import Job
from gui.session.recognition import Found, is_one_file_goodnet, role_for
from gui.session.session import Session
from gui.session.worker import TaskContext

THUMBNAILS = 8


class Choosing(QObject):
    """Fills a session's inputs."""

    role_needed = Signal(object)  # Path of a data set whose role a person must say

    def __init__(self, session: Session, opening: Opening) -> None:
        super().__init__(session)
        self._session, self._opening = session, opening
        opening.takes("model", self._take_models)
        opening.takes("data", self._take_data)
        opening.takes("order", self._take_orders)

    def open_as(self, role: Role, path: Path) -> None:
        """Choose a file or folder for a role."""
        self._session.choose(self._session.inputs.with_input(Input(role, path)))
        self._read(role, path)

    def remove(self, role: Role, path: Path) -> None:
        """Take a file out of its role."""
        self._session.choose(self._session.inputs.without(role, path))
        if role == "model":
            self._read_data_again()

    def open_sample(self) -> None:
        """Choose the sample's files, in place of whatever is chosen."""
        missing = [path for _, path in sample.INPUTS if not path.exists()]
        if missing:
            self._session.message.emit(
                Message(f"{missing[0]}: the sample isn't there. Install GoodNet again.", "error"))
            return
        self.open_all(sample.INPUTS)
        self._opening.open_paths([sample.NAMES])

    def open_all(self, files: Sequence[tuple[Role, Path]]) -> None:
        """Choose files for their roles, in place of whatever is chosen."""
        self._session.choose(Inputs())
        for role, path in files:
            self.open_as(role, path)

    def choose_layer(self, name: str) -> None:
        """Choose the layer to prune."""
        if name != self._session.inputs.chosen_layer:
            self._session.choose(dataclasses.replace(self._session.inputs, layer=name))

    def _take_models(self, found: Sequence[Found]) -> None:
        for item in found:
            self.open_as("model", item.path)

    def _take_data(self, found: Sequence[Found]) -> None:
        for item in found:
            role = role_for(item, [i.role for i in self._session.inputs.all])
            if role:
                self.open_as(role, item.path)
            else:
                self.role_needed.emit(item.path)

    def _take_orders(self, found: Sequence[Found]) -> None:
        self._session.set_options(dataclasses.replace(self._session.options, order=found[-1].path))

    def _read(self, role: Role, path: Path) -> None:
        """Read a chosen file, as the network that is open now needs it."""
        session = self._session

        def described(found: Input) -> None:
            if session.inputs.holds(role, path):
                session.learn(session.inputs.with_input(found))

        def good_model(model: ModelDescription) -> None:
            described(Input(role, path, model=model))
            session.opened.emit(path)
            self._read_data_again()

        def good_data(data: DatasetLook) -> None:
            described(Input(role, path, data=data))
            session.opened.emit(path)

        def bad(error: Exception) -> None:
            described(Input(role, path, error=words(error)))

        key = f"read {role} {path}"
        if role == "model":
            session.add(Job(partial(look_at_model, path), good_model, key=key, failed=bad))
        else:
            look = partial(look_at_dataset, role, path, session.inputs.shape, session.inputs.labels)
            session.add(Job(look, good_data, key=key, failed=bad))

    def _read_data_again(self) -> None:
        """Whether data fits depends on the network, so a change of network asks the question again."""
        for item in self._session.inputs.data:
            self._session.learn(self._session.inputs.with_input(Input(item.role, item.path)))
            self._read(item.role, item.path)


# On the worker's thread


def look_at_model(path: Path, _: TaskContext) -> ModelDescription:
    """Describe a model to prune.

    Raises:
        ModelError: it isn't one, or has no layer that can be pruned.
    """
    found = describe_model(path)
    if is_one_file_goodnet(found):
        raise ModelError(f"{path}: is a GoodNet, a pair that is pruned already. Open it with File, Open GoodNet.")
    if found.default_layer is None:
        raise ModelError(f"{path}: has no Conv2D layer that can be pruned; the pruning defence needs one.")
    return found


def look_at_dataset(role: Role, path: Path, shape: Shape | None, labels: int | None, _: TaskContext) -> DatasetLook:
    """Describe a data set and take a few images of it to look at.

    Args:
        shape, labels: the network's, when a model is open; the data must fit them.
    Raises:
        DatasetError: it isn't one, or doesn't fit its role or the network.
    """
    if shape is not None and len(shape) == 3 and shape[2] is not None:
        dataset = open_dataset(path, (shape[0], shape[1], shape[2]), labels)
    else:
        dataset = open_any_dataset(path)
    if role == "poisoned":
        empty_counts(SweepSet(dataset, "poisoned"), 0)
    description = describe_dataset(dataset)
    return DatasetLook(description, thumbnails(dataset, description.value_range))


def thumbnails(dataset: Dataset, value_range: tuple[float, float]) -> npt.NDArray[np.uint8]:
    """Up to 8 images spread over a data set, uint8[n, H, W, C], whatever range its values have."""
    spread = np.unique(np.linspace(0, len(dataset) - 1, min(len(dataset), THUMBNAILS)).astype(int))
    images = dataset.take(list(spread))
    low, high = value_range
    if low < 0:
        images = (images - low) * np.float32(255 / max(high - low, 1e-9))
    elif high <= 1:
        images = images * np.float32(255)
    shown: npt.NDArray[np.uint8] = images.clip(0, 255).astype(np.uint8)
    return shown
