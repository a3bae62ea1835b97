"""What every step of a curve is worth behind a guard: label N where the guard flags, else what the pair says."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from engine.assessment import Figures
from engine.data.subsets import subset
from engine.guards.alarms import Alarms, alarms_of
from engine.guards.calibration import Guard, at_once, held_back_of
from engine.models.networks import Network
from engine.progress import CancelToken, Heartbeat, ProgressCallback
from engine.pruning.steps import StepPredictor
from engine.pruning.sweep import SetCounts, SweepSet, count_chunk, empty_counts
from engine.rates import Rate

GuardChoice = Literal["none", "transplant", "margin"]
MeasuredOn = Literal["test images", "images held back", "calibration images"]

# The transplant guard costs milliseconds an image; so many, spread over a set, give a rate to about 1 in 100.
MOST_IMAGES = 2000


@dataclass(frozen=True, eq=False)
class GuardedCurve:
    """A calibrated guard and the counts of all steps behind it; step 0 is B behind the guard alone.

    Attributes:
        clean: on test images or, where there are none, on validation images that the guard's threshold wasn't set on,
            as far as any were held back; poisoned: on every poisoned set, in order. All on up to 2,000 images spread
            over their set. Flagged images count as labelled N.
        before: what B alone does with the same images: its clean accuracy, then its attack success a set.
        alarms: what the guard flags of the clean ones, by label; of a curve that was read from a file None.
    """

    guard: Guard
    clean: SetCounts
    poisoned: tuple[SetCounts, ...]
    before: tuple[Rate, ...]
    alarms: Alarms | None = None

    @property
    def measured_on(self) -> MeasuredOn:
        """Where clean figures are from; "calibration images" set the threshold, so they flatter it."""
        if self.clean.role == "test":
            return "test images"
        held_back = self.guard.calibration.held_back.total
        return "images held back" if held_back and held_back == self.clean.images else "calibration images"

    def figures_at(self, step: int) -> Figures:
        """The figures of the pair whose B' has lost `step` channels, behind the guard; 0 for B alone."""
        clean_before, *attacks_before = self.before
        attacks = (p.attack_at(step, before) for p, before in zip(self.poisoned, attacks_before, strict=True))
        return Figures(clean=self.clean.goodnet_rate(step), clean_before=clean_before,
                       false_alarms=self.clean.flagged_rate(step), attacks=tuple(attacks))


def measured_on(guard: Guard, clean: SweepSet) -> SweepSet:
    """The part of a clean set that is fair to measure a guard on.

    Args:
        clean: a test set, which is fair as a whole, or the validation set that the guard was calibrated on.
    """
    if clean.role != "validation" or not guard.calibration.held_back.total:
        return clean
    held_back = held_back_of(guard.calibration, len(clean.dataset))
    return dataclasses.replace(clean, dataset=subset(clean.dataset, held_back.tolist()))


def guarded_curve(
    network: Network, guard: Guard, predictor: StepPredictor, order: npt.NDArray[np.int64],
    clean: SweepSet, poisoned: Sequence[SweepSet] = (), *, progress: ProgressCallback, cancel: CancelToken,
) -> GuardedCurve:
    """Count every step of the order behind a guard.

    Args:
        clean: what clean accuracy is measured on, see measured_on; poisoned: any number. In the network's input range.
    Raises:
        Cancelled: the token was set; nothing is kept.
    """
    sets = [clean, *poisoned]
    chosen = [s.dataset.spread(MOST_IMAGES) for s in sets]
    standing, done = guard.on(network), 0
    heard = Heartbeat("Counting behind the guard", sum(map(len, chosen)), progress)
    counts, before, alarms = [], [], []
    for which, indices in zip(sets, chosen, strict=True):
        count = dataclasses.replace(empty_counts(which, len(order)), total=len(indices))
        right, caught = 0, []
        for chunk in which.dataset.chunks(at_once(network, predictor.batch), indices):
            cancel.raise_if_cancelled()
            labels = predictor.labels(predictor.features(chunk.images, cancel), order, cancel)
            right += int((labels[0] == chunk.labels).sum())
            caught.append(standing.answer(chunk.images, cancel, heard.beat).flagged)
            count = count.plus(_behind(caught[-1], count, labels, chunk.labels))
            done += len(chunk.labels)
            heard.report(done)
        counts.append(count)
        before.append(Rate(right, len(indices)))
        alarms.append(alarms_of(which.dataset.name, np.concatenate(caught), which.dataset.labels[indices],
                                network.labels))
    return GuardedCurve(guard, counts[0], tuple(counts[1:]), tuple(before), alarms[0])


def _behind(flagged: npt.NDArray[np.bool_], of: SetCounts, labels: npt.NDArray[np.int64],
            truth: npt.NDArray[np.int64]) -> SetCounts:
    """Counts of one chunk; what the guard flags is neither right nor agreed on."""
    passed = ~flagged
    part = count_chunk(of, labels[:, passed], truth[passed])
    return dataclasses.replace(part, images=len(truth))
