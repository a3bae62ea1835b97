"""A trained B' made useful: beside B as a pair, behind a guard if wanted, measured and saved."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.data.datasets import Dataset
from engine.defences.training import Repair, repaired_network
from engine.files.saving import whole_folder
from engine.goodnets.pair import Evaluation, GoodNet, evaluate, write_pair
from engine.guards.calibration import DEFAULT_FALSE_ALARMS, calibrate
from engine.guards.guarded_curve import GuardChoice
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.pruning.sweep import SweepSet, empty_counts
from engine.records.run_files import rate_json

PoisonedSet = tuple[Dataset, int]


@dataclass(frozen=True, eq=False)
class RepairedPair:
    """B beside a trained B', and what the pair is worth: on a clean set first, then on each poisoned one."""

    repair: Repair
    goodnet: GoodNet
    evaluations: tuple[Evaluation, ...]


def with_target(poisoned: Dataset) -> PoisonedSet:
    """A poisoned set with the attacker's target label; to be asked before the training that it shall measure.

    Raises:
        DatasetError: it has several targets.
    """
    target = empty_counts(SweepSet(poisoned, "poisoned"), 0).target
    assert target is not None
    return poisoned, target


def as_pair(
    network: Network, repair: Repair, scale: str, clean: Dataset, test: Dataset | None,
    poisoned: Sequence[PoisonedSet],
    guard: GuardChoice = "none", false_alarms: float = DEFAULT_FALSE_ALARMS, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> RepairedPair:
    """Put a repair beside B and measure the pair.

    Args:
        network: the B that the repair was made from; scale: "none" or "255", see GoodNet.
        clean: what a guard is calibrated on; clean accuracy is measured on `test`, or on it where there is none.
        Data sets are in the network's input range.
    Raises:
        DatasetError: the guard can't be calibrated.
        Cancelled: the token was set; nothing is kept.
    """
    standing = None if guard == "none" else \
        calibrate(network, clean, guard, false_alarms, progress=progress, cancel=cancel)
    goodnet = GoodNet(network, repaired_network(network, repair), scale, _notes(repair, network), standing)
    found = [evaluate(goodnet, test or clean, progress=progress, cancel=cancel)]
    found += [evaluate(goodnet, dataset, target, progress=progress, cancel=cancel) for dataset, target in poisoned]
    return RepairedPair(repair, goodnet, tuple(found))


def save_repaired(pair: RepairedPair, folder: Path) -> None:
    """Write the pair's folder with evaluation.json beside its files; it appears whole or not at all.

    Raises:
        OutputError: it can't be written.
    """
    with whole_folder(folder) as temporary:
        write_pair(pair.goodnet, temporary)
        (temporary / "evaluation.json").write_text(json.dumps(_evaluations_json(pair), indent=1) + "\n",
                                                   encoding="utf-8")


def _notes(repair: Repair, network: Network) -> dict[str, Any]:
    return {"method": repair.method, "seed": repair.seed, "steps": repair.steps, "kept_step": repair.kept_step,
            "warning": repair.warning, "layer": repair.layer, "pruned_channels": list(repair.pruned),
            "b": {"name": network.path.name, "sha256": network.sha256}}


def _evaluations_json(pair: RepairedPair) -> dict[str, Any]:
    def one(e: Evaluation) -> dict[str, Any]:
        clean = e.target is None
        return {"name": e.name, "images": e.images, "target": e.target,
                **rate_json("goodnet_accuracy" if clean else "goodnet_asr", e.correct),
                **rate_json("false_alarm_rate" if clean else "detection_rate", e.flagged),
                **(rate_json("guarded_accuracy" if clean else "guarded_asr", e.guarded_correct)
                   if e.guarded_correct else {})}

    clean, *poisoned = pair.evaluations
    return {"method": pair.repair.method, "warning": pair.repair.warning, "test": one(clean),
            "poisoned": [one(e) for e in poisoned]}
