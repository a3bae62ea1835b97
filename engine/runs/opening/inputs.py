"""What a job works on: the network and the image sets a person chose, opened and found to fit together."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine import backend
from engine.data.datasets import UNKNOWN_STAMP, Dataset, notices_of, open_dataset
from engine.data.preprocessing import AUTO, Preprocessing, preprocessing
from engine.data.stored_values import BYTES, FINER, stored_alike, unlike_largest
from engine.data.subsets import hold_back
from engine.data.targets import by_target, told_apart, unshown_targets
from engine.goodnets.pair import MADE_FROM
from engine.models.networks import OPENING_PIECES, Network, open_network
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback, ignore_progress
from engine.pruning.sweep import Role, SweepSet
from engine.quarantine.client import READER
from engine.runs.opening.feeding import Feeding, find_feeding
from engine.runs.opening.labelling import Labelling, find_labelling


@dataclass(frozen=True)
class InputFiles:
    """The files a job is given; defaults are those of the command line and the window.

    Attributes:
        layer: the layer to work on; None for the network's default.
        scale: the preprocessing's name, see engine.data.preprocessing; "auto" finds out on the validation images.
        classes: names of all labels in order, for folders of pictures; none to look for a list.
        output: of a model with several outputs the name of the one that tells the labels.
    """

    model: Path
    validation: Path
    test: Path | None = None
    poisoned: tuple[Path, ...] = ()
    layer: str | None = None
    scale: str = AUTO
    classes: tuple[str, ...] = ()
    output: str | None = None

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file and folder that is read."""
        return tuple(path for path in (self.model, self.validation, self.test, *self.poisoned) if path)

    def clean_alone(self, test: Path | None = None) -> InputFiles:
        """The same network and validation images as plain inputs, without poisoned sets, with these test images."""
        return InputFiles(self.model, self.validation, test, layer=self.layer, scale=self.scale, classes=self.classes,
                          output=self.output)


@dataclass(frozen=True)
class ModelSummary:
    """The network a run worked on.

    Attributes:
        scale: the name of its preprocessing.
        classes: names of its labels, where folders of pictures were matched with them.
        stored: the range in which values of the images were stored, one of engine.data.stored_values.RANGES.
        depth: of the validation images, see Dataset.
        labelling: by what names became labels, where nothing had to be tried for that: a sentence, or nothing.
    """

    path: Path
    sha256: str
    input_shape: tuple[int | None, int | None, int]
    layer: str
    channels: int
    labels: int
    scale: str
    classes: tuple[str, ...] = ()
    stored: str = BYTES
    depth: int | None = None
    labelling: str = ""

    def notes(self, made_from: str) -> dict[str, Any]:
        """What goodnet.json says of every pair that is made from the network.

        Args:
            made_from: SHA-256 of the clean validation images.
        """
        return {"b": {"name": self.path.name, "sha256": self.sha256}, "classes": list(self.classes),
                "stored": self.stored, "depth": self.depth, MADE_FROM: made_from}


@dataclass(frozen=True)
class DatasetSummary:
    """A data set a run worked on.

    Attributes:
        stamp: Dataset.stamp, by which a window sees that it was written anew; unknown of a run that is brought back, as
            copying a file changes it. `sha256` is the proof.
    """

    path: Path
    role: Role
    name: str
    images: int
    labels: int
    sha256: str
    stamp: tuple[int, int] = dataclasses.field(default=UNKNOWN_STAMP, compare=False)


@dataclass(frozen=True, eq=False)
class Opened:
    """The inputs of a request, opened and found to fit together.

    Attributes:
        feeding: what was tried to find the preprocessing; None where a person chose it.
        labelling: how sub-folders of pictures became labels.
        files: the data sets as they were given.
        stored: the range in which values are stored in all of them, one of engine.data.stored_values.RANGES.
        sets: what is counted: a poisoned file with several targets is a set for each of them.
        unlike: a doubt on whether they are all stored in that range; none where nothing speaks against it.
    """

    network: Network
    layer: str
    preprocessing: Preprocessing
    feeding: Feeding | None
    labelling: Labelling
    stored: str
    files: tuple[SweepSet, ...]
    sets: tuple[SweepSet, ...]
    unlike: str = ""

    def of(self, role: Role) -> list[Dataset]:
        """The data sets of a role, in the order given."""
        return [s.dataset for s in self.sets if s.role == role]

    @property
    def clean(self) -> Dataset:
        """The clean test images, or the validation images where there are none."""
        return (self.of("test") or self.of("validation"))[0]

    def to_make_and_measure(self) -> tuple[Dataset, Dataset | None]:
        """The clean images that a defence is made from, and those that it is measured on.

        These are the test set or, where none was given, a part of the validation set that is held back; None where
        that set is too small to be parted.
        """
        validation, test = self.of("validation")[0], next(iter(self.of("test")), None)
        return (validation, test) if test else hold_back(validation)

    @property
    def notices(self) -> tuple[str, ...]:
        """What was decided in a person's place while opening and what may be wrong about it, a sentence each."""
        tried = self.labelling.notice if self.labelling.tried else ""
        return tuple(filter(None, (tried, self.labelling.doubt, self.feeding.doubt if self.feeding else "",
                                   *self.about_sets())))

    def about_sets(self, others: Sequence[tuple[str, int | None]] = ()) -> list[str]:
        """What may be wrong about the data sets themselves, a sentence each.

        Args:
            others: names and depths of what else is fed to the network.
        """
        unshown = unshown_targets(self.of("poisoned"), _clean(self.files))
        finer = (f"{self.files[0].dataset.path.name}: its values run far beyond the 255 of ordinary pictures: save all "
                 "sets again from 0 to 255.") if self.stored == FINER else ""
        return [*filter(None, (finer, self.unlike, unshown)), *notices_of([s.dataset for s in self.files], others)]

    def model_summary(self) -> ModelSummary:
        """What a record says of the network."""
        network = self.network
        return ModelSummary(network.path, network.sha256, network.input_shape, self.layer,
                            network.prunable_layers()[self.layer], network.labels, self.preprocessing.name,
                            self.labelling.classes, self.stored, self.of("validation")[0].depth,
                            "" if self.labelling.tried else self.labelling.notice)

    def dataset_summaries(self, cancel: CancelToken = NEVER_CANCELLED) -> tuple[DatasetSummary, ...]:
        """What a record says of each data set that was given.

        Raises:
            Cancelled: the token was set.
        """
        return tuple(
            DatasetSummary(s.dataset.path, s.role, s.dataset.name, len(s.dataset), len(np.unique(s.dataset.labels)),
                           s.dataset.sha256(cancel), s.dataset.stamp)
            for s in self.files)


def open_inputs(
    files: InputFiles, *, progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Opened:
    """Open files and check that they fit.

    Raises:
        EngineError: a file can't be opened, or doesn't belong to the network.
        Cancelled: the token was set.
    """
    chosen: list[tuple[Role, Path]] = [("validation", files.validation)]
    chosen += [("test", files.test)] if files.test else []
    chosen += [("poisoned", path) for path in files.poisoned]
    total = len(chosen) + OPENING_PIECES + 2
    stages = iter(range(total))

    def opening() -> None:
        cancel.raise_if_cancelled()
        progress(Progress("Opening files", next(stages), total))

    opening()
    READER.start()  # in a process of its own, while TensorFlow is loaded
    backend.load()  # seconds, and by itself, so that they aren't added to the network's
    opening()
    network = open_network(files.model, files.output, opening)
    layer = files.layer or network.default_layer()
    network.call_of(layer)
    found = []
    for role, path in chosen:
        opening()
        found.append(SweepSet(open_dataset(path, network.input_shape), role))
    return fitted(_at_their_size(network, [s.dataset for s in found]), layer, found, files.classes,
                  None if files.scale == AUTO else preprocessing(files.scale), progress=progress, cancel=cancel)


def fitted(
    network: Network, layer: str, given: Sequence[SweepSet], classes: Sequence[str], wanted: Preprocessing | None,
    stored: str = "", *, progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Opened:
    """Data sets as a network wants them: labelled, prepared, and poisoned ones told apart and parted by target.

    Args:
        layer: see Opened; empty where nothing is pruned.
        given: as opened, the clean set first on which all is found out that nobody says, poisoned ones last.
        classes: names of all labels in order; none to look for a list.
        wanted: the preprocessing; None to find it out.
        stored: the range that all are known to be stored in; empty to see to that.
    Raises:
        DatasetError: a set doesn't belong to the network, or isn't stored as the others are.
        Cancelled: the token was set.
    """
    first, *others = (s.dataset for s in given)
    labelling = find_labelling(network, classes, first, others, wanted, progress=progress, cancel=cancel)
    labelled = [labelling.of(s.dataset, network.labels) for s in given]
    alike = stored or stored_alike(labelled)
    feeding = None
    if wanted is None:
        feeding = labelling.feeding or find_feeding(network, labelled[0], progress=progress, cancel=cancel)
        wanted = feeding.best
    sets = [dataset.prepared(wanted) for dataset in labelled]
    clean = sum(s.role != "poisoned" for s in given)
    sets[clean:] = told_apart(sets[clean:])
    files = tuple(SweepSet(dataset, s.role) for dataset, s in zip(sets, given, strict=True))
    return Opened(network, layer, wanted, feeding, labelling, alike, files, _counted(files, network.labels),
                  unlike_largest(labelled))


def _at_their_size(network: Network, datasets: Sequence[Dataset]) -> Network:
    """A network that takes images of any size, for those of these sets; it stays where they differ in size."""
    shapes = {dataset.image_shape for dataset in datasets}
    if None not in network.input_shape or len(shapes) > 1:
        return network
    height, width, _ = shapes.pop()
    return network.at(height, width)


def _counted(files: Sequence[SweepSet], labels: int) -> tuple[SweepSet, ...]:
    return tuple(SweepSet(part, s.role) for s in files
                 for part in (by_target(s.dataset, labels, _clean(files)) if s.role == "poisoned" else (s.dataset,)))


def _clean(files: Sequence[SweepSet]) -> list[Dataset]:
    return [s.dataset for s in files if s.role != "poisoned"]
