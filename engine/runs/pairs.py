"""A finished run's pairs, B and the copy behind a row, built again from the model's file; a saved one, measured."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from engine.data.classes import places_among, read_classes
from engine.data.datasets import Dataset, open_dataset
from engine.data.fingerprints import Fingerprints
from engine.data.preprocessing import preprocessing
from engine.data.stored_values import refuse_unlike, stored_alike
from engine.data.subsets import stored_pictures
from engine.errors import EngineError
from engine.goodnets.evaluation import Evaluation, evaluate
from engine.goodnets.pair import GoodNet
from engine.goodnets.saved import known_by
from engine.models.networks import Images, Network, open_network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.pruning.sweep import SweepSet
from engine.runs.doubts.alarms_borne import borne_text
from engine.runs.doubts.measured import doubts_measured
from engine.runs.opening.inputs import DatasetSummary, Opened, fitted, open_inputs
from engine.runs.opening.labelling import check_count
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow


@dataclass(frozen=True, eq=False)
class MeasuredPair:
    """A saved pair, and what it is worth: on a clean set first, then on each poisoned one.

    Attributes:
        goodnet: with its preprocessing as it was found, where that wasn't known.
        found: how it was found, a sentence; empty where it was known.
        doubts: what is doubtful about the files, a sentence each; measured: about what B answers on them, and which
            labels' pictures hardly pass the guard.
    """

    goodnet: GoodNet
    evaluations: tuple[Evaluation, ...]
    found: str
    doubts: tuple[str, ...]
    measured: tuple[str, ...]


def measure(
    goodnet: GoodNet, test: Path, poisoned: Sequence[Path] = (), classes: Path | None = None, find: bool = False, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> MeasuredPair:
    """Measure a saved pair on a clean set and on poisoned ones, by target.

    Args:
        classes: a class list; None for the pair's own, or to look for one.
        find: find out on the clean set how values are fed to the pair, which doesn't say so itself.
    Raises:
        EngineError: a file can't be opened, or doesn't belong to the pair.
        Cancelled: the token was set.
    """
    opened, doubts = open_for(goodnet, test, poisoned, classes, find, progress=progress, cancel=cancel)
    goodnet = dataclasses.replace(goodnet, preprocessing=opened.preprocessing)
    prints = [Fingerprints(one.dataset) for one in opened.sets]
    evaluations = [evaluate(goodnet, read.dataset, one.role == "poisoned", progress=progress, cancel=cancel)
                   for read, one in zip(prints, opened.sets, strict=True)]
    measured = doubts_measured(goodnet, prints, evaluations, progress=progress, cancel=cancel)
    borne = borne_text(goodnet.guard, goodnet.guard_name, opened.labelling.classes, evaluations[0].alarms) \
        if goodnet.guard else ""
    return MeasuredPair(goodnet, tuple(evaluations), opened.feeding.sentence if opened.feeding else "", doubts,
                        tuple(filter(None, (*(doubt.sentence for doubt in measured), borne))))


def open_for(
    goodnet: GoodNet, test: Path, poisoned: Sequence[Path] = (), classes: Path | None = None, find: bool = False, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> tuple[Opened, tuple[str, ...]]:
    """The data sets that a saved pair is measured on, and what is doubtful about them, a sentence each; as measure."""
    sets = [SweepSet(open_dataset(test, goodnet.input_shape), "test")]
    sets += [SweepSet(open_dataset(path, goodnet.input_shape), "poisoned") for path in poisoned]
    own = f"the clean images of {known_by(goodnet.b.path.parent).name}"
    known = "stored" in goodnet.notes
    for one in sets if known else []:
        refuse_unlike(one.dataset, goodnet.stored, own)
    stored = goodnet.stored if known else stored_alike([one.dataset for one in sets])
    # Names in a network's own file come last, as in a run.
    names = read_classes(classes) if classes else goodnet.named
    if classes:
        check_count(goodnet.b.path, goodnet.b.labels, names, classes)
    unlike = _unlike(classes, names, goodnet.classes) if classes else ""
    opened = fitted(goodnet.b, "", sets, names, None if find else goodnet.preprocessing, stored,
                    progress=progress, cancel=cancel)
    fed, labelling = opened.feeding.doubt if opened.feeding else "", opened.labelling
    return opened, tuple(filter(None, (unlike, fed, labelling.notice, labelling.doubt,
                                       _made_from(goodnet, opened.files[0].dataset, cancel),
                                       *opened.about_sets([(own, goodnet.depth)]))))


def _unlike(path: Path, given: Sequence[str], own: Sequence[str]) -> str:
    """That a class list isn't that of the GoodNet, a sentence; nothing where it is, or nothing is known of names."""
    wrong = next((label for label, place in enumerate(places_among(given, own)) if place != label), None)
    if wrong is None or wrong >= len(own):
        return ""
    return (f"{path}: calls label {wrong} {given[wrong]}, but the GoodNet was made with a list that calls it "
            f"{own[wrong]}. Images are counted by the file's names; leave --classes out to count by the GoodNet's own.")


def _made_from(goodnet: GoodNet, test: Dataset, cancel: CancelToken) -> str:
    """That a pair is measured on the very set that it was made from, a sentence; nothing where it isn't known to be."""
    if not goodnet.made_from or not test.is_as_it_was(goodnet.made_from, cancel):
        return ""
    return (f"{test.name} is the set that this GoodNet was made from: channels were ranked, thresholds chosen, guards "
            "set and networks trained on the very images that measure it, which flatters it. Choose a test set of its "
            "own.")


def refuse_changed(b: Network, run: PruningRun) -> None:
    """Raises:
    EngineError: a network that was opened again isn't the one that a run was about.
    """
    if b.sha256 != run.model.sha256:
        raise EngineError(f"{run.model.path}: was changed since the run. Run again, or bring the old file back.")


def open_again(run: PruningRun, *, progress: ProgressCallback, cancel: CancelToken) -> Opened:
    """A run's inputs, fed to the network as they were.

    Raises:
        EngineError: the network or a data set was changed since the run, or can't be opened any more.
        Cancelled: the token was set.
    """
    opened = open_inputs(dataclasses.replace(run.request, layer=run.model.layer, scale=run.model.scale),
                         progress=progress, cancel=cancel)
    refuse_changed(opened.network, run)
    for now, counted in zip(opened.files, run.datasets, strict=True):
        refuse_changed_set(now.dataset, counted, cancel)
    return opened


def refuse_changed_set(dataset: Dataset, counted: DatasetSummary, cancel: CancelToken = NEVER_CANCELLED) -> None:
    """Raises:
    EngineError: a data set that was opened again isn't the one that a run was about.
    Cancelled: the token was set.
    """
    if not dataset.is_as_it_was(counted.sha256, cancel):
        raise EngineError(f"{counted.path}: was changed since the run, so what is measured on it doesn't belong "
                          "beside the run's figures. Run again, or bring the old file back.")


def build_goodnet(run: PruningRun, row: GoodNetRow, network: Network | None = None) -> GoodNet:
    """The pair of networks behind a row.

    Args:
        network: B, when it is open already.
    Raises:
        EngineError: the model's file was changed since the run.
    """
    b = network or open_network(run.model.path, run.request.output)
    refuse_changed(b, run)
    channels = [int(c) for c in run.ranking.order[:row.channels_pruned]]
    notes = {
        "x": row.x, "layer": run.model.layer, "channels_pruned": row.channels_pruned, "pruned_channels": channels,
        "drop_points": row.drop_points, "drop_relative_percent": row.drop_relative_percent,
        "clean_accuracy": row.clean.value, "attack_success_rate": row.attack.value if row.attack else None,
        "assessment": row.assessment.sentence, **run.notes(),
    }
    guard = run.guarded.guard if run.guarded else None
    return GoodNet(b, b.pruned(run.model.layer, channels), preprocessing(run.model.scale), notes, guard)


def build_guarded_badnet(run: PruningRun, network: Network) -> GoodNet:
    """B behind the run's guard alone, as a pair of B with itself, which always agrees."""
    assert run.guarded is not None
    notes = {"method": "guard", **run.notes()}
    return GoodNet(network, network.copy(), preprocessing(run.model.scale), notes, run.guarded.guard)


def pictures_of(run: PruningRun) -> Images | None:
    """Some images of the run's sets as stored, float32[n, H, W, C]; None where its files can't be read any more."""
    try:
        sets = [open_dataset(dataset.path, run.model.input_shape) for dataset in run.datasets]
        return stored_pictures(sets)
    except EngineError:
        return None
