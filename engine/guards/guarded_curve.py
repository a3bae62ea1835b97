"""What every step of a curve is worth behind a guard: label N where the guard flags, else what the pair says."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.guards.calibration import Guard, StandingGuard
from engine.models.networks import Network
from engine.progress import CancelToken, Progress, ProgressCallback
from engine.pruning.steps import StepPredictor
from engine.pruning.sweep import SetCounts, SweepSet, count_chunk, empty_counts
from engine.rates import Rate

GuardChoice = Literal["none", "transplant", "margin"]

# The transplant guard costs milliseconds an image; so many, spread over a set, give a rate to about 1 in 100.
MOST_IMAGES = 2000


@dataclass(frozen=True, eq=False)
class GuardedCurve:
    """A calibrated guard and the counts of all steps behind it; step 0 is B behind the guard alone.

    Attributes:
        clean: on the set clean accuracy is reported on; poisoned: on the first poisoned set, if there is one.
            Both on up to 2,000 images spread over their set. Flagged images count as labelled N.
    """

    guard: Guard
    clean: SetCounts
    poisoned: SetCounts | None


@dataclass(frozen=True)
class GuardedFigures:
    """One step behind a guard; rates as those of a GoodNet without one."""

    guard: str
    threshold: float
    clean: Rate
    attack: Rate | None
    false_alarms: Rate
    detection: Rate | None


def figures_at(curve: GuardedCurve, step: int) -> GuardedFigures:
    """The guarded figures of the pair whose B' has lost `step` channels; 0 for B alone."""
    poisoned = curve.poisoned
    return GuardedFigures(
        curve.guard.kind, curve.guard.threshold, curve.clean.goodnet_rate(step),
        poisoned.goodnet_rate(step) if poisoned else None, curve.clean.flagged_rate(step),
        poisoned.flagged_rate(step) if poisoned else None)


def guarded_curve(
    network: Network, guard: Guard, predictor: StepPredictor, order: npt.NDArray[np.int64],
    clean: SweepSet, poisoned: SweepSet | None, *, progress: ProgressCallback, cancel: CancelToken,
) -> GuardedCurve:
    """Count every step of the order behind a guard.

    Args:
        clean: the set clean accuracy is reported on, in the network's input range; poisoned: likewise.
    Raises:
        Cancelled: the token was set; nothing is kept.
    """
    sets = [clean, *([poisoned] if poisoned else [])]
    chosen = [_spread(s.dataset) for s in sets]
    standing, done, total = guard.on(network), 0, sum(map(len, chosen))
    counts = []
    for which, indices in zip(sets, chosen, strict=True):
        count = dataclasses.replace(empty_counts(which, len(order)), total=len(indices))
        for chunk in which.dataset.chunks(predictor.batch, indices):
            cancel.raise_if_cancelled()
            labels = predictor.labels(predictor.features(chunk.images), order, cancel)
            count = count.plus(_behind(standing, count, labels, chunk.images, chunk.labels, cancel))
            done += len(chunk.labels)
            progress(Progress("Counting behind the guard", done, total))
        counts.append(count)
    return GuardedCurve(guard, counts[0], counts[1] if poisoned else None)


def _behind(standing: StandingGuard, of: SetCounts, labels: npt.NDArray[np.int64], images: npt.NDArray[np.float32],
            truth: npt.NDArray[np.int64], cancel: CancelToken) -> SetCounts:
    """Counts of one chunk; what the guard flags is neither right nor agreed on."""
    passed = ~standing.answer(images, cancel).flagged
    part = count_chunk(of, labels[:, passed], truth[passed])
    return dataclasses.replace(part, images=len(truth))


def _spread(dataset: Dataset) -> list[int]:
    count = min(len(dataset), MOST_IMAGES)
    return [int(i) for i in np.unique(np.linspace(0, len(dataset) - 1, count).astype(int))]
