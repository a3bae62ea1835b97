"""A whole pruning defence: from the files a person picked to a curve and a GoodNet for each threshold."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import backend
from engine.data.fingerprints import Fingerprints
from engine.defences.comparison import Comparison
from engine.errors import DatasetError
from engine.guards.calibration import DEFAULT_FALSE_ALARMS, calibrate
from engine.guards.guarded_curve import GuardChoice, GuardedCurve, guarded_curve, measured_on
from engine.guards.transplant import refuse_other_sizes
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.pruning.incremental import predictor_for
from engine.pruning.ranking import ChannelRanking, RankAt, given_order, of_another_network, rank_channels
from engine.pruning.steps import KeptFeatures
from engine.pruning.sweep import Preview, PruningCurve, SweepSet, sweep
from engine.pruning.thresholds import DEFAULT_DROPS, DropMode, Stop
from engine.runs.doubts.alarms_borne import borne_text
from engine.runs.doubts.causes import explained
from engine.runs.doubts.overflow import overflowing
from engine.runs.doubts.plausibility import Doubt, SetSeen, doubts_of, hardly_better_than_chance
from engine.runs.opening.inputs import DatasetSummary, InputFiles, ModelSummary, Opened, open_inputs

Partial = Callable[[PruningCurve], None]


@dataclass(frozen=True)
class PruningRequest(InputFiles):
    """What a person asks of a pruning run."""

    rank_at: RankAt = "conv"
    order: Path | None = None
    drops: tuple[float, ...] = DEFAULT_DROPS
    drop_mode: DropMode = "points"
    stop: Stop = "first-past"
    cluster: str | None = None
    guard: GuardChoice = "none"
    false_alarms: float = DEFAULT_FALSE_ALARMS

    def __post_init__(self) -> None:
        # Two thresholds that are written alike would share a folder and a name.
        object.__setattr__(self, "drops", tuple(dict.fromkeys(float(f"{x:g}") for x in self.drops)))

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every file and folder that is read, the order's included."""
        return (*super().paths, self.order) if self.order else super().paths


@dataclass(frozen=True, eq=False)
class PruningRun:
    """A finished run: plain values and arrays only.

    Attributes:
        doubts: what is doubtful about its input, what stops verdicts first.
        versions: of what it was counted with; none of a run of the first versions.
    """

    request: PruningRequest
    model: ModelSummary
    datasets: tuple[DatasetSummary, ...]
    ranking: ChannelRanking
    curve: PruningCurve
    guarded: GuardedCurve | None
    device: str
    seconds: float
    comparison: Comparison | None = None
    doubts: tuple[Doubt, ...] = ()
    versions: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def plausible(self) -> bool:
        """Whether the input is such that a success is one."""
        return not any(doubt.implausible for doubt in self.doubts)

    def notes(self) -> dict[str, Any]:
        """What goodnet.json says of every pair that is made of it."""
        return self.model.notes(self.datasets[0].sha256)


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
    opened = open_inputs(request, progress=progress, cancel=cancel)
    if request.guard == "transplant":
        refuse_other_sizes(opened.sets[0].dataset, (s.dataset for s in opened.sets))
    prints = [Fingerprints(s.dataset) for s in opened.sets]
    cancel.raise_if_cancelled()
    if request.cluster:
        ranking, curve = _count_on_cluster(request, opened, partial, progress, cancel)
    else:
        read = tuple(SweepSet(p.dataset, s.role) for p, s in zip(prints, opened.sets, strict=True))
        ranking, curve = _count_here(request, dataclasses.replace(opened, sets=read), partial, progress, cancel)
    seen = [SetSeen(s.dataset.name, s.role, s.dataset.labels, p.complete(progress, cancel))
            for s, p in zip(opened.sets, prints, strict=True)]
    doubts = (*overflowing(opened.network, (s.dataset for s in opened.sets), cancel),
              *explained(doubts_of(curve, opened.network.labels, seen), opened.network, opened.sets, progress, cancel),
              *(Doubt(notice, implausible=False) for notice in (*opened.notices, *_order_notices(request, opened))))
    # A guard learns what is normal from images that B answers; of nonsense it learns nonsense, or nothing.
    guarded = None if request.guard == "none" or hardly_better_than_chance(curve.validation, opened.network.labels) \
        else _guard(request, opened, ranking, doubts, progress, cancel)
    if guarded:
        borne = borne_text(guarded.guard, request.guard, opened.labelling.classes, guarded.alarms)
        doubts += tuple(Doubt(told, implausible=False) for told in (guarded.guard.doubt, borne) if told)
    return PruningRun(request, opened.model_summary(), opened.dataset_summaries(cancel), ranking, curve, guarded,
                      backend.device(), time.monotonic() - started, doubts=doubts, versions=backend.versions())


def _order_notices(request: PruningRequest, opened: Opened) -> list[str]:
    return list(filter(None, [of_another_network(request.order, opened.network)] if request.order else []))


def _count_here(
    request: PruningRequest, opened: Opened, partial: Partial | None, progress: ProgressCallback, cancel: CancelToken,
) -> tuple[ChannelRanking, PruningCurve]:
    predictor, kept = predictor_for(opened.network, opened.layer), KeptFeatures()
    preview = Preview(predictor, opened.sets, kept, opened.network.quick)

    ordered = given_order(opened.network, opened.layer, request.order)
    ranking = ordered(rank_channels(
        opened.network, opened.layer, opened.sets[0].dataset, rank_at=request.rank_at, predictor=predictor, kept=kept,
        provisional=lambda r: partial(preview.curve(ordered(r), cancel)) if partial else None, progress=progress,
        cancel=cancel))
    curve = sweep(predictor, opened.layer, ranking.order, opened.sets, kept=kept, partial=partial, progress=progress,
                  cancel=cancel)
    return ranking, curve


def _count_on_cluster(
    request: PruningRequest, opened: Opened, partial: Partial | None, progress: ProgressCallback, cancel: CancelToken,
) -> tuple[ChannelRanking, PruningCurve]:
    from engine.pruning.cluster import Cluster  # brings asyncio, which takes as long to load as h5py
    with Cluster(request.cluster or "", opened.network, opened.layer, cancel) as cluster:
        ordered = given_order(opened.network, opened.layer, request.order)
        ranking = ordered(cluster.rank(opened.sets[0].dataset, request.rank_at, progress))
        return ranking, cluster.sweep(ranking.order, opened.sets, partial, progress)


def _guard(
    request: PruningRequest, opened: Opened, ranking: ChannelRanking, doubts: Sequence[Doubt],
    progress: ProgressCallback, cancel: CancelToken,
) -> GuardedCurve | None:
    """B behind its guard; None where none can be set on images of which a doubt says better what is wrong with them."""
    assert request.guard != "none"
    try:
        guard = calibrate(opened.network, opened.sets[0].dataset, request.guard, request.false_alarms,
                          progress=progress, cancel=cancel)
    except DatasetError:
        if any(doubt.implausible for doubt in doubts):
            return None
        raise
    clean = next((s for s in opened.sets if s.role == "test"), opened.sets[0])
    poisoned = [s for s in opened.sets if s.role == "poisoned"]
    return guarded_curve(opened.network, guard, predictor_for(opened.network, opened.layer), ranking.order,
                         measured_on(guard, clean), poisoned, progress=progress, cancel=cancel)
