"""What is doubtful about images that a saved pair was measured on, said as of a pruning run's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from engine.data.datasets import Dataset
from engine.data.fingerprints import Fingerprints
from engine.goodnets.evaluation import Evaluation
from engine.goodnets.pair import GoodNet
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress
from engine.pruning.sweep import PruningCurve, Role, SetCounts, SweepSet
from engine.runs.doubts.causes import explained
from engine.runs.doubts.overflow import overflowing
from engine.runs.doubts.plausibility import Doubt, SetSeen, about_shared, doubts_of


def doubts_measured(
    goodnet: GoodNet, prints: Sequence[Fingerprints], evaluations: Sequence[Evaluation],
    made_from: Dataset | None = None, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> tuple[Doubt, ...]:
    """What is doubtful about a clean set and poisoned ones and about B's answers to them, with likely causes, and where
    B' overflows.

    Of a file that holds B' alone B's answers are looked at on the clean set only, but for overflow: that B' answers no
    target is no fault of the images.

    Args:
        prints: the clean set's first, then the poisoned ones', in the networks' input range; evaluations: of each.
        made_from: the clean images that B' was made from, where they are known to be others.
    Raises:
        Cancelled: the token was set.
    """
    sets = [one.dataset for one in prints]
    counts = [_counts(one) for one in evaluations]
    known = counts[:1] if goodnet.b_missing else counts
    seen = [_seen(one, of.role, progress, cancel) for one, of in zip(prints, counts, strict=True)]
    curve = PruningCurve("", np.arange(0), known[0], None, tuple(known[1:]))
    called = "B'" if goodnet.b_missing else "B"
    found = doubts_of(curve, goodnet.b.labels, seen, called)
    own = [_seen(Fingerprints(made_from), "validation", progress, cancel)] if made_from else []
    learnt = [doubt for one in own for other, of in zip(seen, counts, strict=True)
              for doubt in about_shared(one, other, of)]
    other = () if goodnet.b_missing or goodnet.b_alone else overflowing(goodnet.b_prime, sets, cancel, "B'")
    asked = [SweepSet(dataset, of.role) for dataset, of in zip(sets, counts, strict=True)]
    return (*overflowing(goodnet.b, sets, cancel, called), *other, *learnt,
            *explained(found, goodnet.b, asked, progress, cancel, called))


def _seen(one: Fingerprints, role: Role, progress: ProgressCallback, cancel: CancelToken) -> SetSeen:
    return SetSeen(one.dataset.name, role, one.dataset.labels, one.complete(progress, cancel))


def _counts(of: Evaluation) -> SetCounts:
    """What B alone answers, as the step of a curve at which nothing is pruned."""
    role: Role = "poisoned" if of.poisoned else "test"
    right = np.array([of.b_correct.count])
    return SetCounts(of.name, role, of.images, of.images, of.target, right, np.array([of.images]), right,
                     of.reconstructed)
