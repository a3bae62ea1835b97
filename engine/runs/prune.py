"""A whole pruning defence: from the files a person picked to a curve and a GoodNet for each threshold."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from engine import backend
from engine.assessment import Assessment, assess
from engine.data.datasets import Dataset, open_dataset
from engine.defences.comparison import Comparison
from engine.errors import EngineError
from engine.goodnets.pair import SCALES, GoodNet
from engine.guards.calibration import DEFAULT_FALSE_ALARMS, calibrate
from engine.guards.guarded_curve import GuardChoice, GuardedCurve, GuardedFigures, figures_at, guarded_curve
from engine.models.networks import Network, open_network
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback, ignore_progress
from engine.pruning.cluster import Cluster
from engine.pruning.incremental import predictor_for
from engine.pruning.ranking import ChannelRanking, RankAt, given_order, rank_channels
from engine.pruning.steps import KeptFeatures
from engine.pruning.sweep import PruningCurve, SweepSet, preview_curve, sweep
from engine.pruning.thresholds import DEFAULT_DROPS, DropMode, Stop, choose_step, drop_percent
from engine.rates import Rate

Partial = Callable[[PruningCurve], None]
ScaleChoice = Literal["auto", "none", "255"]

_SCALE_TRIAL_IMAGES = 512


@dataclass(frozen=True)
class PruningRequest:
    """What a person asks for; defaults are those of the command line and the window."""

    model: Path
    validation: Path
    test: Path | None = None
    poisoned: tuple[Path, ...] = ()
    layer: str | None = None
    rank_at: RankAt = "conv"
    order: Path | None = None
    drops: tuple[float, ...] = DEFAULT_DROPS
    drop_mode: DropMode = "points"
    stop: Stop = "first-past"
    scale: ScaleChoice = "auto"
    cluster: str | None = None
    guard: GuardChoice = "none"
    false_alarms: float = DEFAULT_FALSE_ALARMS


@dataclass(frozen=True)
class ModelSummary:
    """The network a run worked on."""

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
    role: str
    name: str
    images: int
    labels: int
    sha256: str


@dataclass(frozen=True)
class GoodNetRow:
    """One threshold's GoodNet: what was asked for, what it got, what it costs and stops.

    Attributes:
        x: the drop asked for.
        channels_pruned: the step that answers it.
        drop_points, drop_relative_percent: what validation accuracy really lost.
        clean, false_alarms: on the test set when there is one, else on validation.
        attack, detection: on the first poisoned set; None without one.
        guarded, guarded_assessment: the same behind the run's guard, None without one.
    """

    x: float
    channels_pruned: int
    drop_points: float
    drop_relative_percent: float
    clean: Rate
    attack: Rate | None
    false_alarms: Rate
    detection: Rate | None
    assessment: Assessment
    guarded: GuardedFigures | None = None
    guarded_assessment: Assessment | None = None


@dataclass(frozen=True, eq=False)
class PruningRun:
    """A finished run: plain values and arrays only."""

    request: PruningRequest
    model: ModelSummary
    datasets: tuple[DatasetSummary, ...]
    ranking: ChannelRanking
    curve: PruningCurve
    guarded: GuardedCurve | None
    device: str
    seconds: float
    comparison: Comparison | None = None


@dataclass(frozen=True, eq=False)
class Opened:
    """The inputs of a request, opened and found to fit together."""

    network: Network
    layer: str
    scale: str
    sets: tuple[SweepSet, ...]


def open_inputs(request: PruningRequest) -> Opened:
    """Open a request's files and check that they fit.

    Raises:
        EngineError: a file can't be opened, or doesn't belong to the network.
    """
    network = open_network(request.model)
    layer = request.layer or network.default_layer()
    network.call_of(layer)

    def opened(path: Path) -> Dataset:
        return open_dataset(path, network.input_shape, network.labels)

    validation = opened(request.validation)
    scale = choose_scale(network, validation) if request.scale == "auto" else request.scale
    sets = [SweepSet(validation, "validation")]
    if request.test:
        sets.append(SweepSet(opened(request.test), "test"))
    sets += [SweepSet(opened(path), "poisoned") for path in request.poisoned]
    scaled = tuple(SweepSet(s.dataset.scaled(SCALES[scale]), s.role) for s in sets)
    return Opened(network, layer, scale, scaled)


def choose_scale(network: Network, clean: Dataset) -> str:
    """Find out whether a network wants values as stored or divided by 255, by its accuracy on clean images.

    Up to 512 images spread over the set are tried both ways; as stored wins a tie.

    Returns:
        "none" or "255".
    """
    spread = np.unique(np.linspace(0, len(clean) - 1, min(len(clean), _SCALE_TRIAL_IMAGES)).astype(int))
    images, truth = clean.take(list(spread)), clean.labels[spread]
    right = {name: int((network.predict_labels(images * np.float32(scale)) == truth).sum())
             for name, scale in SCALES.items()}
    return "255" if right["255"] > right["none"] else "none"


def run_pruning(
    request: PruningRequest, *, partial: Partial | None = None,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> PruningRun:
    """Rank, prune step by step, count.

    Args:
        partial: is given the curve so far after each chunk.
    Raises:
        EngineError: an input is at fault.
        Cancelled: the token was set; nothing is kept.
    """
    started = time.monotonic()
    progress(Progress("Opening files", 0, 1))
    opened = open_inputs(request)
    cancel.raise_if_cancelled()
    if request.cluster:
        ranking, curve = _count_on_cluster(request, opened, partial, progress, cancel)
    else:
        ranking, curve = _count_here(request, opened, partial, progress, cancel)
    guarded = _guard(request, opened, ranking, progress, cancel) if request.guard != "none" else None
    network = opened.network
    model = ModelSummary(network.path, network.sha256, network.input_shape, opened.layer, len(ranking.order),
                         network.labels, opened.scale)
    return PruningRun(request, model, _summaries(opened.sets), ranking, curve, guarded, backend.device(),
                      time.monotonic() - started)


def _count_here(
    request: PruningRequest, opened: Opened, partial: Partial | None, progress: ProgressCallback, cancel: CancelToken,
) -> tuple[ChannelRanking, PruningCurve]:
    predictor, kept = predictor_for(opened.network, opened.layer), KeptFeatures()

    def preview(ranking: ChannelRanking) -> None:
        if partial:
            partial(preview_curve(predictor, ranking, opened.sets, kept, cancel))

    if request.order:
        ranking = given_order(opened.network, opened.layer, request.order)
    else:
        ranking = rank_channels(
            opened.network, opened.layer, opened.sets[0].dataset, rank_at=request.rank_at, predictor=predictor,
            kept=kept, provisional=preview, progress=progress, cancel=cancel)
    curve = sweep(predictor, opened.layer, ranking.order, opened.sets, kept=kept, partial=partial, progress=progress,
                  cancel=cancel)
    return ranking, curve


def _count_on_cluster(
    request: PruningRequest, opened: Opened, partial: Partial | None, progress: ProgressCallback, cancel: CancelToken,
) -> tuple[ChannelRanking, PruningCurve]:
    with Cluster(request.cluster or "", opened.network, opened.layer, cancel) as cluster:
        if request.order:
            ranking = given_order(opened.network, opened.layer, request.order)
        else:
            ranking = cluster.rank(opened.sets[0].dataset, request.rank_at, progress)
        return ranking, cluster.sweep(ranking.order, opened.sets, partial, progress)


def _guard(
    request: PruningRequest, opened: Opened, ranking: ChannelRanking, progress: ProgressCallback, cancel: CancelToken,
) -> GuardedCurve:
    assert request.guard != "none"
    guard = calibrate(opened.network, opened.sets[0].dataset, request.guard, request.false_alarms,
                      progress=progress, cancel=cancel)
    by_role = {s.role: s for s in reversed(opened.sets)}
    clean = by_role.get("test", opened.sets[0])
    return guarded_curve(opened.network, guard, predictor_for(opened.network, opened.layer), ranking.order, clean,
                         by_role.get("poisoned"), progress=progress, cancel=cancel)


def goodnet_row(
    curve: PruningCurve, x: float, mode: DropMode = "points", stop: Stop = "first-past",
    guarded: GuardedCurve | None = None,
) -> GoodNetRow | None:
    """The GoodNet that answers a threshold, or None where no step loses that much."""
    step = choose_step(curve, x, mode, stop)
    return None if step is None else row_at(curve, step, x, guarded)


def row_at(curve: PruningCurve, step: int, x: float, guarded: GuardedCurve | None = None) -> GoodNetRow:
    """The figures of the GoodNet whose B' has lost `step` channels, computed from the curves alone."""
    poisoned = curve.poisoned[0] if curve.poisoned else None
    clean, attack = curve.clean.goodnet_rate(step), poisoned.goodnet_rate(step) if poisoned else None
    before, behind = curve.clean.b_prime_rate(0), figures_at(guarded, step) if guarded else None
    return GoodNetRow(
        x, step,
        drop_percent(curve.validation, step, "points"), drop_percent(curve.validation, step, "relative"),
        clean, attack, curve.clean.flagged_rate(step), poisoned.flagged_rate(step) if poisoned else None,
        assess(f"At X = {x:g}", clean, before, attack), behind,
        assess(f"At X = {x:g} behind the guard", behind.clean, before, behind.attack) if behind else None)


def build_goodnet(run: PruningRun, row: GoodNetRow, network: Network | None = None) -> GoodNet:
    """The pair of networks behind a row.

    Args:
        network: B, when it is open already.
    Raises:
        EngineError: the model's file was changed since the run.
    """
    b = network or open_network(run.model.path)
    if b.sha256 != run.model.sha256:
        raise EngineError(f"{run.model.path}: was changed since the run. Run again, or bring the old file back.")
    channels = [int(c) for c in run.ranking.order[:row.channels_pruned]]
    notes = {
        "x": row.x, "layer": run.model.layer, "channels_pruned": row.channels_pruned, "pruned_channels": channels,
        "drop_points": row.drop_points, "drop_relative_percent": row.drop_relative_percent,
        "clean_accuracy": row.clean.value, "attack_success_rate": row.attack.value if row.attack else None,
        "assessment": row.assessment.sentence,
        "b": {"name": run.model.path.name, "sha256": run.model.sha256},
    }
    guard = run.guarded.guard if run.guarded else None
    return GoodNet(b, b.pruned(run.model.layer, channels), run.model.scale, notes, guard)


def build_guarded_badnet(run: PruningRun, network: Network) -> GoodNet:
    """B behind the run's guard alone, as a pair of B with itself, which always agrees."""
    assert run.guarded is not None
    notes = {"method": "guard", "b": {"name": run.model.path.name, "sha256": run.model.sha256}}
    return GoodNet(network, network.copy(), run.model.scale, notes, run.guarded.guard)


def _summaries(sets: tuple[SweepSet, ...]) -> tuple[DatasetSummary, ...]:
    return tuple(
        DatasetSummary(s.dataset.path, s.role, s.dataset.name, len(s.dataset), len(np.unique(s.dataset.labels)),
                       s.dataset.sha256())
        for s in sets)
