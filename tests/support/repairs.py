"""A repair that was trained elsewhere, or written by hand, as a pair."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from engine.data.datasets import Dataset
from engine.data.preprocessing import Preprocessing
from engine.data.stored_values import stored_alike
from engine.defences.training import Repair
from engine.guards.calibration import DEFAULT_FALSE_ALARMS
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, ignore_progress
from engine.pruning.sweep import SweepSet
from engine.runs.opening.inputs import ModelSummary, Opened
from engine.runs.opening.labelling import Labelling
from engine.runs.repair import RepairedPair, RepairGuard, _as_pair, calibrated


@dataclasses.dataclass(frozen=True, eq=False)
class _Given(Opened):
    """Inputs of which the network needs no layer that can be pruned."""

    def model_summary(self) -> ModelSummary:
        network = self.network
        return ModelSummary(network.path, network.sha256, network.input_shape, "", 0, network.labels,
                            self.preprocessing.name, self.labelling.classes, self.stored, self.clean.depth)


def as_pair(
    network: Network, repair: Repair, preprocessing: Preprocessing, clean: Dataset, test: Dataset | None,
    poisoned: Sequence[Dataset], guard: RepairGuard = "none", false_alarms: float = DEFAULT_FALSE_ALARMS,
    alone: bool = False, *, notices: Sequence[str] = (),
) -> RepairedPair:
    """What a job makes of a repair of a network and these sets; without a test set the clean one must be too small for
    a part of it to be held back."""
    sets = (SweepSet(clean, "validation"), *([SweepSet(test, "test")] if test else []),
            *(SweepSet(dataset, "poisoned") for dataset in poisoned))
    opened = _Given(network, "", preprocessing, None, Labelling(()), stored_alike([clean]), sets, sets,
                    " ".join(notices))
    made, measured = opened.to_make_and_measure()
    assert made is clean and measured is test
    standing = calibrated(guard, network, made, false_alarms)
    return _as_pair(opened, made, measured, repair, guard, standing, alone, ignore_progress, NEVER_CANCELLED)
