"""A finished run's pairs: B and the copy behind a row, built again from the model's file."""

from __future__ import annotations

from engine.data.datasets import Dataset, open_dataset
from engine.data.preprocessing import preprocessing
from engine.data.subsets import stored_pictures
from engine.errors import EngineError
from engine.goodnets.pair import GoodNet
from engine.models.networks import Images, Network, open_network
from engine.progress import NEVER_CANCELLED, CancelToken
from engine.runs.inputs import DatasetSummary, Opened
from engine.runs.prune import PruningRun
from engine.runs.rows import GoodNetRow

# So many pictures a saved file is tried with.
PICTURES = 16


def refuse_changed(b: Network, run: PruningRun) -> None:
    """Raises:
    EngineError: a network that was opened again isn't the one that a run was about.
    """
    if b.sha256 != run.model.sha256:
        raise EngineError(f"{run.model.path}: was changed since the run. Run again, or bring the old file back.")


def refuse_changed_inputs(opened: Opened, run: PruningRun, cancel: CancelToken) -> None:
    """Raises:
    EngineError: the network or a data set that was opened again isn't the one that a run was about.
    Cancelled: the token was set.
    """
    refuse_changed(opened.network, run)
    for now, counted in zip(opened.files, run.datasets, strict=True):
        refuse_changed_set(now.dataset, counted, cancel)


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
        "assessment": row.assessment.sentence, **run.model.notes(),
    }
    guard = run.guarded.guard if run.guarded else None
    return GoodNet(b, b.pruned(run.model.layer, channels), preprocessing(run.model.scale), notes, guard)


def build_guarded_badnet(run: PruningRun, network: Network) -> GoodNet:
    """B behind the run's guard alone, as a pair of B with itself, which always agrees."""
    assert run.guarded is not None
    notes = {"method": "guard", **run.model.notes()}
    return GoodNet(network, network.copy(), preprocessing(run.model.scale), notes, run.guarded.guard)


def pictures_of(run: PruningRun) -> Images | None:
    """Some images of the run's sets as stored, float32[n, H, W, C]; None where its files can't be read any more."""
    try:
        sets = [open_dataset(dataset.path, run.model.input_shape) for dataset in run.datasets]
        return stored_pictures(sets, PICTURES)
    except EngineError:
        return None
