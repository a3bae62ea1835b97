"""Every step of the pruning order, counted chunk by chunk into the pruning curve."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from engine.assessment import Attack, Figures, titled
from engine.data.datasets import Dataset
from engine.data.targets import target_of
from engine.models.networks import Images, Labels
from engine.parallel import in_parallel
from engine.progress import NEVER_CANCELLED, CancelToken, Meter, ProgressCallback, ignore_progress
from engine.pruning.ranking import ChannelRanking
from engine.pruning.steps import Features, KeptFeatures, StepPredictor
from engine.rates import Rate

Role = Literal["validation", "test", "poisoned"]
# Images of each set that are counted for a first look, while the ranking waits; of the set that is ranked on, most.
_PREVIEW, _MOST_PREVIEW = 64, 128

Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class SetCounts:
    """Counts over one data set; entry k belongs to the copy with k channels pruned.

    Attributes:
        name: the data set's name.
        role: what it is for. Of a poisoned set, "correct" means "answered the attacker's target".
        images: images counted so far; total: images in the set.
        target: the attacker's target label of a poisoned set; None of a clean one, or where each image has its own.
        correct: int64[C + 1], B' answers the label.
        agreeing: int64[C + 1], B and B' agree; the rest is labelled N.
        goodnet_correct: int64[C + 1], they agree on the label.
        reconstructed: of a poisoned set, whether its trigger was computed from the network.
        answers: how many images B answers with a label that have another or the same, by these two; of counts that
            were read from a file none.
    """

    name: str
    role: Role
    images: int
    total: int
    target: int | None
    correct: Counts
    agreeing: Counts
    goodnet_correct: Counts
    reconstructed: bool = False
    answers: Counter[tuple[int, int]] = field(default_factory=Counter)

    @property
    def title(self) -> str:
        """The set's name as people read it."""
        return titled(self.name, self.reconstructed)

    def plus(self, part: SetCounts) -> SetCounts:
        """These counts and those of another chunk of the same set."""
        return dataclasses.replace(
            self, images=self.images + part.images, correct=self.correct + part.correct,
            agreeing=self.agreeing + part.agreeing, goodnet_correct=self.goodnet_correct + part.goodnet_correct,
            answers=self.answers + part.answers)

    def b_prime_rate(self, step: int) -> Rate:
        """B' 's clean accuracy, or its attack success rate on a poisoned set."""
        return Rate(int(self.correct[step]), self.images)

    def goodnet_rate(self, step: int) -> Rate:
        """The GoodNet's clean accuracy, or its attack success rate on a poisoned set."""
        return Rate(int(self.goodnet_correct[step]), self.images)

    def flagged_rate(self, step: int) -> Rate:
        """The share labelled N: false alarms on clean images, detection on poisoned ones."""
        return Rate(self.images - int(self.agreeing[step]), self.images)

    def attack_at(self, step: int, before: Rate | None = None) -> Attack:
        """What a poisoned set says of the GoodNet.

        Args:
            before: B's own rate, where these counts don't hold it because a guard stands before B too.
        """
        return Attack(self.name, self.target, before or self.b_prime_rate(0), self.goodnet_rate(step),
                      self.flagged_rate(step), self.reconstructed)


@dataclass(frozen=True, eq=False)
class PruningCurve:
    """Counts of all steps, 0 to C channels pruned, over all sets. `provisional` while the ranking isn't final."""

    layer: str
    order: npt.NDArray[np.int64]
    validation: SetCounts
    test: SetCounts | None
    poisoned: tuple[SetCounts, ...]
    provisional: bool = False

    @property
    def sets(self) -> tuple[SetCounts, ...]:
        """Validation, test if there is one, then the poisoned sets."""
        return (self.validation, *((self.test,) if self.test else ()), *self.poisoned)

    @property
    def complete(self) -> bool:
        """Whether every image is counted, by an order that stays."""
        return not self.provisional and all(counts.images == counts.total for counts in self.sets)

    @property
    def clean(self) -> SetCounts:
        """The set clean accuracy is reported on: test when given, else validation."""
        return self.test or self.validation

    def figures_at(self, step: int) -> Figures:
        """What the GoodNet whose B' has lost `step` channels costs and stops; 0 for B alone."""
        return Figures(
            clean=self.clean.goodnet_rate(step), clean_before=self.clean.b_prime_rate(0),
            false_alarms=self.clean.flagged_rate(step), attacks=tuple(p.attack_at(step) for p in self.poisoned))


@dataclass(frozen=True)
class SweepSet:
    """A data set and the role it plays."""

    dataset: Dataset
    role: Role


def sweep(
    predictor: StepPredictor, layer: str, order: npt.NDArray[np.int64], sets: Sequence[SweepSet], *,
    kept: KeptFeatures | None = None, partial: Callable[[PruningCurve], None] | None = None,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> PruningCurve:
    """Count every step of the order on every set; memory is one chunk's.

    Sets take turns chunk by chunk, so all their curves are there after the first round and sharpen together.

    Args:
        order: int64[C], each channel of the layer once.
        sets: one validation set first, at most one test set, any number of poisoned sets.
        kept: features of the first set's first images that ranking computed already; they are used up.
        partial: is given the curve so far after each chunk, from the moment every set has counts.
    Raises:
        DatasetError: a set can't be read.
        Cancelled: the token was set; nothing is kept.
    """
    counts = [empty_counts(s, len(order)) for s in sets]
    meter = Meter("Counting every pruning step", sum(len(s.dataset) for s in sets), progress)

    def half(done: float) -> None:
        meter.add(done / 2)

    def count(which: int, truth: Labels, images: Images | None, features: Features,
              ended: CancelToken) -> tuple[int, SetCounts]:
        known = images is None
        features = features if images is None else predictor.features(images, ended, half)
        labels = predictor.labels(features, order, ended, meter.add if known else half)
        return which, count_chunk(counts[which], labels, truth)

    parts = [_parts(s.dataset, predictor.batch, kept if i == 0 else None) for i, s in enumerate(sets)]
    for which, part in in_parallel(count, _taking_turns(parts), cancel=cancel, beat=meter.report):
        counts[which] = counts[which].plus(part)
        meter.report(sum(c.images for c in counts))
        cancel.raise_if_cancelled()
        if partial and all(c.images for c in counts):
            partial(as_curve(layer, order, counts))
    return as_curve(layer, order, counts)


class Preview:
    """The curve on each set's first images by a ranking that isn't final: something to look at at once."""

    def __init__(self, predictor: StepPredictor, sets: Sequence[SweepSet], kept: KeptFeatures, quick: int) -> None:
        """
        Args:
            kept: as sweep's; nothing of it is used up, and the more it holds the more images are counted.
            quick: how many images the network answers in a second or two.
        """
        self._predictor, self._sets, self._kept = predictor, sets, kept
        self._most = min(_PREVIEW, predictor.batch, quick)
        self._others: dict[int, Features] = {}

    def curve(self, ranking: ChannelRanking, cancel: CancelToken) -> PruningCurve:
        """The curve by this ranking.

        Raises:
            Cancelled: the token was set.
        """
        counts = []
        for i, which in enumerate(self._sets):
            features = self._kept.first(_MOST_PREVIEW) if i == 0 else None
            labels = self._predictor.labels(features or self._computed(i, cancel), ranking.order, cancel)
            truth = which.dataset.labels[:labels.shape[1]]
            counts.append(count_chunk(empty_counts(which, len(ranking.order)), labels, truth))
        return dataclasses.replace(as_curve(ranking.layer, ranking.order, counts), provisional=True)

    def _computed(self, which: int, cancel: CancelToken) -> Features:
        if which not in self._others:
            chunk = next(self._sets[which].dataset.chunks(self._most))
            self._others[which] = self._predictor.features(chunk.images, cancel)
        return self._others[which]


def empty_counts(which: SweepSet, channels: int) -> SetCounts:
    """A set's counts before any image was seen."""
    target = target_of(which.dataset) if which.role == "poisoned" else None
    zeros = np.zeros(channels + 1, np.int64)
    return SetCounts(which.dataset.name, which.role, 0, len(which.dataset), target, zeros, zeros, zeros,
                     which.dataset.reconstructed)


def count_chunk(of: SetCounts, labels: Labels, truth: Labels) -> SetCounts:
    """Counts of one chunk.

    Args:
        of: the set the chunk belongs to.
        labels: int64[C + 1, n], row 0 is B's.
        truth: int64[n].
    """
    correct, agreeing = labels == truth, labels == labels[0]
    return dataclasses.replace(
        of, images=len(truth), correct=correct.sum(axis=1), agreeing=agreeing.sum(axis=1),
        goodnet_correct=(correct & agreeing).sum(axis=1),
        answers=Counter(zip(labels[0].tolist(), truth.tolist(), strict=True)))


def as_curve(layer: str, order: npt.NDArray[np.int64], counts: Sequence[SetCounts]) -> PruningCurve:
    """Sort counts by role into a curve."""
    by_role = {role: [c for c in counts if c.role == role] for role in ("validation", "test", "poisoned")}
    return PruningCurve(layer, order, by_role["validation"][0], next(iter(by_role["test"]), None),
                        tuple(by_role["poisoned"]))


def _parts(
    dataset: Dataset, size: int, kept: KeptFeatures | None,
) -> Generator[tuple[Labels, Images | None, Features], None, None]:
    """Labels of a set's images in order, with the images themselves or the features that were kept of them."""
    start = 0
    for features in kept.give_away() if kept else ():
        truth = dataset.labels[start:start + len(features[0])]
        start += len(truth)
        yield truth, None, features
    with closing(dataset.chunks(size, span=(start, len(dataset)))) as chunks:
        for chunk in chunks:
            yield chunk.labels, chunk.images, []


def _taking_turns(sources: Sequence[Generator[tuple[Any, ...], None, None]]) -> Iterator[tuple[Any, ...]]:
    """One item of each source after the other, behind the source's number, until all are at their end."""
    running = dict(enumerate(sources))
    try:
        while running:
            for i in list(running):
                item = next(running[i], None)
                if item is None:
                    del running[i]
                else:
                    yield i, *item
    finally:
        for source in running.values():
            source.close()
