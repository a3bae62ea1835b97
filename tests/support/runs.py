"""A finished run made up of random counts, with everything that a run can hold."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.assessment import Attack
from engine.defences.comparison import Comparison, ComparisonRow
from engine.guards.calibration import Calibration, Guard
from engine.guards.cuts import cuts_of
from engine.guards.guarded_curve import GuardedCurve
from engine.guards.transplant import Donors
from engine.pruning.ranking import ChannelRanking
from engine.pruning.sweep import PruningCurve, Role, SetCounts
from engine.rates import Rate
from engine.runs.doubts.plausibility import Doubt
from engine.runs.opening.inputs import DatasetSummary, ModelSummary
from engine.runs.prune import PruningRequest, PruningRun
from tests.support.networks import random_images


def made_up_run(channels: int = 60, images: int = 12_830, seed: int = 0) -> PruningRun:
    """A run with a test set, two poisoned sets, a guard and a comparison; paths are those of nowhere."""
    dice = np.random.default_rng(seed)

    def counts(name: str, role: Role, total: int) -> SetCounts:
        correct = np.sort(dice.integers(0, total + 1, channels + 1))[::-1]
        agreeing = np.minimum(correct + dice.integers(0, 50, channels + 1), total)
        goodnet = np.minimum(correct, agreeing) - dice.integers(0, 2, channels + 1).clip(0, correct.min())
        agreeing[0], goodnet[0] = total, correct[0]  # nothing is pruned yet
        return SetCounts(name, role, total, total, 0 if role == "poisoned" else None, correct, agreeing, goodnet)

    clean, test = counts("valid", "validation", 11_547), counts("test", "test", images)
    poisoned = (counts("sun ☀", "poisoned", images), counts("eyes", "poisoned", 333))
    curve = PruningCurve("conv_3", dice.permutation(channels), clean, test, poisoned)
    guard = Guard("transplant", 0.125, 7, (12, 10, 3), Calibration(0.02, 60, Rate(1, 60), 0),
                  Donors(random_images(4), np.arange(4)), cuts_of(12, 10), 0.9)
    rows = tuple(ComparisonRow(
        defence=name, guard=kind, clean=Rate(9 * n, 77), clean_before=Rate(0, 77), false_alarms=Rate(2, 77),
        seconds=1.5, paired=n == 0, attacks=(
            Attack("sun ☀", 0, Rate(0, 55), Rate(n, 55), Rate(50, 55), robust=Rate(40, 55) if n else None),
            Attack("eyes", 0, Rate(7, 44), Rate(n, 44), Rate(40, 44), reconstructed=True)),
    ) for n, (name, kind) in enumerate([("B", "none"), ("B'", "margin")]))
    request = PruningRequest(Path("/a b/bd.h5"), Path("/ü/valid.h5"), Path("/ü/test.h5"),
                             (Path("sun.h5"), Path("eyes.h5")), drops=(2.0, 4.5, 30.0, 99.0), guard="transplant")
    sets = [("validation", clean), ("test", test), *(("poisoned", p) for p in poisoned)]
    paths = [request.validation, Path("/ü/test.h5"), *request.poisoned]
    summaries = tuple(DatasetSummary(path, role, found.name, found.images, 1283, "cd" * 32)
                      for path, (role, found) in zip(paths, sets, strict=True))
    return PruningRun(
        request, ModelSummary(request.model, "ab" * 32, (55, None, 3), "conv_3", channels, 1283, "255"), summaries,
        ChannelRanking("conv_3", curve.order, dice.normal(0, 1, channels), "conv"), curve,
        GuardedCurve(guard, counts("test", "test", 2000), (counts("sun ☀", "poisoned", 2000),
                                                           counts("eyes", "poisoned", 333)),
                     (Rate(1900, 2000), Rate(1999, 2000), Rate(300, 333))), "CPU", 12.5,
        Comparison(rows, "Be careful."), (Doubt("Labels are shifted.", True), Doubt("Few labels.", False)),
        {"python": "3.9.1", "tensorflow": "2.10"})
