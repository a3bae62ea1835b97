"""What is doubtful about images that a saved pair was measured on, said as of a pruning run's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.data.datasets import Dataset
from engine.goodnets.evaluation import Evaluation
from engine.goodnets.pair import GoodNet
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.pruning.sweep import PruningCurve, Role, SetCounts, SweepSet
from engine.runs.doubts.causes import explained
from engine.runs.doubts.overflow import overflowing
from engine.runs.doubts.plausibility import Doubt, doubts_of


def doubts_measured(
    goodnet: GoodNet, sets: Sequence[Dataset], evaluations: Sequence[Evaluation], *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> tuple[Doubt, ...]:
    """What B's answers make doubtful about a clean set and poisoned ones, with likely causes, and where B' overflows.

    Of a file that holds B' alone only the clean set is looked at, but for overflow: that B' answers no target is no
    fault of the images.

    Args:
        sets: the clean set first, then the poisoned ones, in the networks' input range; evaluations: of each.
    Raises:
        Cancelled: the token was set.
    """
    known = evaluations[:1] if goodnet.b_missing else evaluations
    clean, *poisoned = map(_counts, known)
    asked = [SweepSet(dataset, counts.role) for dataset, counts in zip(sets, (clean, *poisoned), strict=False)]
    curve = PruningCurve("", np.arange(0), clean, None, tuple(poisoned))
    called = "B'" if goodnet.b_missing else "B"
    found = doubts_of(curve, goodnet.b.labels, called=called)
    other = () if goodnet.b_missing or goodnet.b_alone else overflowing(goodnet.b_prime, sets, cancel, "B'")
    return (*overflowing(goodnet.b, sets, cancel, called), *other,
            *explained(found, goodnet.b, asked, progress, cancel, called))


def _counts(of: Evaluation) -> SetCounts:
    """What B alone answers, as the step of a curve at which nothing is pruned."""
    role: Role = "poisoned" if of.poisoned else "validation"
    right = np.array([of.b_correct.count])
    return SetCounts(of.name, role, of.images, of.images, of.target, right, np.array([of.images]), right,
                     of.reconstructed)
