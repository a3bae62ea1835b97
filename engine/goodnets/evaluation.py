"""A pair measured on a data set, chunk by chunk."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from engine.assessment import Attack, Figures, titled
from engine.data.datasets import Dataset
from engine.data.targets import target_of
from engine.goodnets.pair import GoodNet
from engine.guards.alarms import Alarms, alarms_of
from engine.progress import NEVER_CANCELLED, CancelToken, Heartbeat, ProgressCallback, ignore_progress
from engine.rates import Rate


@dataclass(frozen=True)
class Evaluation:
    """A pair measured on one data set, without its guard and, where it has one, behind it.

    Attributes:
        poisoned: whether its labels are the attacker's; target: the one that all its images have, else None.
        correct: clean accuracy, or the attack's success on a poisoned set; flagged: labelled N.
        b_right, b_prime_right: how many images of each label B, or B' where there is no B, and B' answer so.
        guarded_correct, guarded_flagged: the same behind the guard; None without one.
        reconstructed: of a poisoned set, whether its trigger was computed from a network.
        alarms: what the guard flags of a clean set, by label; None without a guard.
    """

    name: str
    images: int
    poisoned: bool
    target: int | None
    correct: Rate
    flagged: Rate
    b_right: tuple[int, ...]
    b_prime_right: tuple[int, ...]
    guarded_correct: Rate | None = None
    guarded_flagged: Rate | None = None
    reconstructed: bool = False
    alarms: Alarms | None = None

    @property
    def title(self) -> str:
        """The set's name as people read it."""
        return titled(self.name, self.reconstructed)

    @property
    def b_correct(self) -> Rate:
        """What `correct` is of B alone, or of B' where there is no B."""
        return Rate(sum(self.b_right), self.images)


def figures_of(evaluations: Sequence[Evaluation]) -> Figures:
    """What a pair costs and stops, behind its guard where it has one.

    Args:
        evaluations: on a clean set first, then on each poisoned one.
    """
    clean, *poisoned = evaluations
    return Figures(
        clean=clean.guarded_correct or clean.correct, clean_before=clean.b_correct,
        false_alarms=clean.guarded_flagged or clean.flagged,
        attacks=tuple(Attack(e.name, e.target, e.b_correct, e.guarded_correct or e.correct,
                             e.guarded_flagged or e.flagged, e.reconstructed) for e in poisoned))


def evaluate(
    goodnet: GoodNet, dataset: Dataset, poisoned: bool = False, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Evaluation:
    """Count a pair's answers on a data set, chunk by chunk.

    Args:
        dataset: in the networks' input range.
        poisoned: whether its labels are the attacker's targets.
    Raises:
        Cancelled: the token was set.
        ModelError: as GoodNet.at.
    """
    goodnet, total = goodnet.at(*dataset.image_shape[:2]), len(dataset)
    counts, heard = np.zeros(4, np.int64), Heartbeat(f"Evaluating on {dataset.name}", total, progress)
    by_label, alarms = np.zeros((2, goodnet.b.labels), np.int64), []
    for chunk in dataset.chunks(goodnet.b.batch):
        cancel.raise_if_cancelled()
        answers = goodnet.answer(chunk.images, cancel, heard.beat)
        agreed = ~answers.disagree & (answers.plain_labels == chunk.labels)
        counts += [agreed.sum(), answers.disagree.sum(), (answers.labels == chunk.labels).sum(), answers.flagged.sum()]
        if answers.guard:
            alarms.append(answers.guard.flagged)
        for right, said in zip(by_label, (answers.b_labels, answers.b_prime_labels), strict=True):
            right += np.bincount(said[said == chunk.labels], minlength=len(right))
        heard.report(chunk.start + len(chunk.labels))
    rates = [Rate(int(count), total) for count in counts]
    target = target_of(dataset) if poisoned else None
    guarded = rates[2:] if goodnet.guard else [None, None]
    b_right, b_prime_right = (tuple(right.tolist()) for right in by_label)
    return Evaluation(dataset.name, total, poisoned, target, rates[0], rates[1], b_right, b_prime_right,
                      guarded[0], guarded[1], dataset.reconstructed,
                      alarms_of(dataset.name, np.concatenate(alarms), dataset.labels, goodnet.b.labels)
                      if alarms and not poisoned else None)
