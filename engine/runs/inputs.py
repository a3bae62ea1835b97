"""What a job works on: the network and the image sets a person chose, opened and found to fit together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.data.datasets import Dataset, open_dataset
from engine.data.preprocessing import AUTO, Preprocessing, preprocessing
from engine.models.networks import Network, open_network
from engine.pruning.sweep import Role, SweepSet
from engine.runs.feeding import Feeding, find_feeding


@dataclass(frozen=True)
class InputFiles:
    """The files a job is given; defaults are those of the command line and the window.

    Attributes:
        layer: the Conv2D layer to work on; None for the network's default.
        scale: the preprocessing's name, see engine.data.preprocessing; "auto" finds out on the validation images.
    """

    model: Path
    validation: Path
    test: Path | None = None
    poisoned: tuple[Path, ...] = ()
    layer: str | None = None
    scale: str = AUTO

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file and folder that is read."""
        return tuple(path for path in (self.model, self.validation, self.test, *self.poisoned) if path)


@dataclass(frozen=True)
class ModelSummary:
    """The network a run worked on; `scale` is the name of its preprocessing."""

    path: Path
    sha256: str
    input_shape: tuple[int | None, int | None, int]
    layer: str
    channels: int
    labels: int
    scale: str


@dataclass(frozen=True)
class DatasetSummary:
    """A data set a run worked on."""

    path: Path
    role: Role
    name: str
    images: int
    labels: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Opened:
    """The inputs of a request, opened and found to fit together.

    Attributes:
        feeding: what was tried to find the preprocessing; None where a person chose it.
    """

    network: Network
    layer: str
    preprocessing: Preprocessing
    feeding: Feeding | None
    sets: tuple[SweepSet, ...]

    def of(self, role: Role) -> list[Dataset]:
        """The data sets of a role, in the order given."""
        return [s.dataset for s in self.sets if s.role == role]

    def model_summary(self) -> ModelSummary:
        """What a record says of the network."""
        network = self.network
        return ModelSummary(network.path, network.sha256, network.input_shape, self.layer,
                            network.prunable_layers()[self.layer], network.labels, self.preprocessing.name)

    def dataset_summaries(self) -> tuple[DatasetSummary, ...]:
        """What a record says of each data set."""
        return tuple(
            DatasetSummary(s.dataset.path, s.role, s.dataset.name, len(s.dataset), len(np.unique(s.dataset.labels)),
                           s.dataset.sha256())
            for s in self.sets)


def open_inputs(files: InputFiles) -> Opened:
    """Open files and check that they fit.

    Raises:
        EngineError: a file can't be opened, or doesn't belong to the network.
    """
    network = open_network(files.model)
    layer = files.layer or network.default_layer()
    network.call_of(layer)

    def opened(path: Path) -> Dataset:
        return open_dataset(path, network.input_shape, network.labels)

    validation = opened(files.validation)
    feeding = find_feeding(network, validation) if files.scale == AUTO else None
    wanted = feeding.best if feeding else preprocessing(files.scale)
    sets = [SweepSet(validation, "validation")]
    if files.test:
        sets.append(SweepSet(opened(files.test), "test"))
    sets += [SweepSet(opened(path), "poisoned") for path in files.poisoned]
    prepared = tuple(SweepSet(s.dataset.prepared(wanted), s.role) for s in sets)
    return Opened(network, layer, wanted, feeding, prepared)
