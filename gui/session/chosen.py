"""What a person has chosen to work on: a model, clean and poisoned data sets, and what is known of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.literal import short_name
from engine.looking.inspection import DatasetDescription
from engine.models.architecture import ModelDescription
from engine.models.shapes import Shape
from engine.runs.prune import PruningRequest
from gui.settings import Options

Role = Literal["model", "validation", "test", "poisoned"]
DATA_ROLES: tuple[Role, ...] = ("validation", "test", "poisoned")
ROLE_TITLES: dict[Role, str] = {
    "model": "Model", "validation": "Clean validation", "test": "Clean test", "poisoned": "Poisoned",
}
ROLE_NAMES: dict[Role, str] = {
    "model": "Model", "validation": "Clean validation images", "test": "Clean test images",
    "poisoned": "Poisoned images",
}


@dataclass(frozen=True, eq=False)
class DatasetLook:
    """A data set's description, and a few of its images uint8[n, H, W, C] spread over it, to look at."""

    description: DatasetDescription
    thumbnails: npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Input:
    """One chosen file. Neither described nor in error: it is being read.

    Attributes:
        model: what it is, when it is the model; data: when it is a data set.
        error: one or two sentences on why it can't be used, else empty.
        layer: of a model, the layer to prune; None for its default.
        output: of a model with several outputs the name of the one that tells the labels.
        before: the good one that this one took the place of, and that comes back if this one can't be used.
        order: of a model, the pruning order that went with that one and comes back with it.
        refused: one that was chosen in its place and can't be used.
    """

    role: Role
    path: Path
    model: ModelDescription | None = None
    data: DatasetLook | None = None
    error: str = ""
    layer: str | None = None
    before: Input | None = None
    order: Path | None = None
    refused: Input | None = None
    output: str | None = None

    def unread(self) -> Input:
        """As it is before it is read."""
        return Input(self.role, self.path, layer=self.layer, before=self.before, order=self.order,
                     output=self.output)

    def described(self, found: ModelDescription | DatasetLook) -> Input:
        """As what it was found to be; a layer that isn't there to be pruned is chosen no longer."""
        if isinstance(found, DatasetLook):
            return dataclasses.replace(self, data=found, before=None)
        there = any(layer.name == self.layer and layer.channels for layer in found.layers)
        return dataclasses.replace(self, model=found, layer=self.layer if there else None, before=None)

    @property
    def usable(self) -> bool:
        """Whether it was read and found good."""
        return not self.error and (self.model is not None or self.data is not None)

    @property
    def reading(self) -> bool:
        """Whether it is still being read."""
        return not self.error and not self.usable


@dataclass(frozen=True)
class Inputs:
    """All that is chosen. Never changed in place.

    Attributes:
        further: models that are run after the chosen one against the same data; they are read when it is their turn.
    """

    model: Input | None = None
    validation: Input | None = None
    test: Input | None = None
    poisoned: tuple[Input, ...] = ()
    further: tuple[Path, ...] = ()

    @property
    def data(self) -> tuple[Input, ...]:
        """The data sets: validation, test, poisoned ones."""
        return (*(i for i in (self.validation, self.test) if i), *self.poisoned)

    @property
    def all(self) -> tuple[Input, ...]:
        """Everything chosen, the model first."""
        return (*((self.model,) if self.model else ()), *self.data)

    @property
    def shape(self) -> Shape | None:
        """The network's input (H, W, C), where a model is known."""
        return self.model.model.input_shape if self.model and self.model.model else None

    @property
    def labels(self) -> int | None:
        """The network's number of labels, where a model is known."""
        return self.model.model.labels if self.model and self.model.model else None

    @property
    def model_names(self) -> tuple[str, ...]:
        """What the model's file calls the network's labels; none where it doesn't say or isn't read."""
        return self.model.model.classes if self.model and self.model.model else ()

    @property
    def data_names(self) -> tuple[str, ...]:
        """What the first data set that says so calls the network's labels; none where none does."""
        found = (data.class_names for data in self._descriptions)
        return next((names for names in found if names and self.labels in (None, len(names))), ())

    @property
    def chosen_layer(self) -> str | None:
        """The layer that will be pruned."""
        if self.model is None or self.model.model is None:
            return None
        return self.model.layer or self.model.model.default_layer

    @property
    def chosen_channels(self) -> int | None:
        """How many channels that layer has, where a model is known."""
        layers = self.model.model.layers if self.model and self.model.model else ()
        return next((layer.channels for layer in layers if layer.name == self.chosen_layer), None)

    @property
    def ready(self) -> bool:
        """Whether a run can start: model and validation are there and nothing chosen is bad or still being read."""
        return self.model is not None and self.validation is not None and all(i.usable for i in self.all)

    @property
    def examinable(self) -> bool:
        """Whether a model and clean images are there and good, whatever else is chosen."""
        return bool(self.model and self.model.usable and self.validation and self.validation.usable)

    @property
    def missing(self) -> str:
        """What keeps a run from starting, as a sentence; empty when nothing does."""
        bad = next((short_name(i.path.name) for i in self.all if i.error), "")
        if bad:
            return f"{bad} can't be used. Choose another file in its place, or remove it."
        if any(i.reading for i in self.all):
            return "Reading what was chosen…"
        if self.model and not self.validation:
            return "Choose clean validation images to run."
        if self.validation and not self.model:
            return "Choose the model to run."
        return "" if self.ready else "Choose a model and clean validation images to run."

    def with_input(self, new: Input) -> Inputs:
        """With a file in its role: in place of the one there; a poisoned set is replaced or added by its path.

        No models wait behind another model.
        """
        if new.role == "model":
            self = dataclasses.replace(self, further=())
        old: Input | None = self.at("poisoned", new.path) if new.role == "poisoned" else getattr(self, new.role)
        if old is None:
            return self._changed(new.role, (*self.poisoned, new) if new.role == "poisoned" else new)
        if old.path == new.path and new.output in (None, old.output):
            new = dataclasses.replace(new, layer=old.layer, output=old.output)
        else:
            new = dataclasses.replace(new, before=old if old.usable else old.before,
                                      order=new.order if old.usable else old.order)
        return self.with_instead(old, new)

    def with_instead(self, old: Input, new: Input) -> Inputs:
        """With one input instead of another one of its role; unchanged where that isn't there any more."""
        if not self.has(old):
            return self
        if old.role == "poisoned":
            return dataclasses.replace(self, poisoned=tuple(new if i is old else i for i in self.poisoned))
        return self._changed(old.role, new)

    def has(self, item: Input) -> bool:
        """Whether this very input is among those chosen, not one that took its place."""
        return any(i is item for i in self.all)

    def at(self, role: Role, path: Path) -> Input | None:
        """The input that is this file in this role."""
        return next((i for i in self.all if i.role == role and i.path == path), None)

    def without(self, role: Role, path: Path) -> Inputs:
        """Without a file."""
        if self.at(role, path) is None:
            return self
        if role == "poisoned":
            return dataclasses.replace(self, poisoned=tuple(i for i in self.poisoned if i.path != path))
        return dataclasses.replace(self._changed(role, None), further=() if role == "model" else self.further)

    def request(self, options: Options, classes: Sequence[str] = ()) -> PruningRequest:
        """What the engine is asked to do; only when `ready`.

        Args:
            classes: names of the network's labels, where a person gave them.
        """
        assert self.model and self.validation
        return PruningRequest(
            model=self.model.path, validation=self.validation.path, test=self.test.path if self.test else None,
            poisoned=tuple(i.path for i in self.poisoned), layer=self.chosen_layer, classes=self.classes(classes),
            output=self.model.output, **vars(options) | {"cluster": options.cluster or None})

    def classes(self, names: Sequence[str]) -> tuple[str, ...]:
        """What the network's labels are called, and by which sub-folders of pictures, labels that are text, or numbers
        that a file has names for become them: none where their number isn't the network's of labels."""
        return tuple(names) if len(names) == self.labels else ()

    @property
    def named(self) -> bool:
        """Whether the labels of a data set have names, which must become the network's."""
        return any(found.label_names or found.class_names for found in self._descriptions)

    @property
    def _descriptions(self) -> list[DatasetDescription]:
        return [item.data.description for item in self.data if item.data]

    @property
    def pictures(self) -> list[tuple[str, npt.NDArray[np.uint8]]]:
        """A few of the clean images and of the poisoned ones, with a name each: uint8[H, W, C]."""
        sets = (self.test or self.validation, *self.poisoned)
        return [(f"{number} of {item.path.name}", pixels) for item in sets if item and item.data
                for number, pixels in enumerate(item.data.thumbnails, start=1)]

    @property
    def missing_labels(self) -> int:
        """How many of the network's labels have no clean validation image, as far as both are read."""
        if not (self.model and self.model.model and self.model.model.labels
                and self.validation and self.validation.data):
            return 0
        return max(0, self.model.model.labels - self.validation.data.description.labels)

    def clean_like(self, poisoned: Input) -> DatasetLook | None:
        """A clean set with as many images as a poisoned one: very likely the same pictures without the trigger."""
        for clean in (self.test, self.validation):
            if clean and clean.data and poisoned.data \
                    and clean.data.description.images == poisoned.data.description.images:
                return clean.data
        return None

    def _changed(self, role: Role, value: Any) -> Inputs:
        changes: dict[str, Any] = {role: value}
        return dataclasses.replace(self, **changes)
