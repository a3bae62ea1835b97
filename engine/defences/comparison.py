"""All defences side by side on the same images: what each costs and what it stops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.errors import DatasetError
from engine.guards.calibration import Guard
from engine.models.networks import Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Progress, ProgressCallback, ignore_progress
from engine.pruning.sweep import SweepSet, empty_counts
from engine.rates import Rate

_CHUNK = 64


@dataclass(frozen=True, eq=False)
class Defence:
    """A defence to compare.

    Attributes:
        name: such as "repaired".
        b_prime: the network that stands beside B; None for B alone.
        seconds: what it took to make.
        paired: whether B has to agree; without B, the network beside it answers alone.
    """

    name: str
    b_prime: Network | None
    seconds: float
    paired: bool = True


@dataclass(frozen=True, eq=False)
class GuardDefence:
    """A guard to put before every defence, and the seconds it took to calibrate."""

    guard: Guard
    seconds: float


@dataclass(frozen=True)
class ComparisonRow:
    """One defence, plain or behind a guard.

    Attributes:
        defence: its name; guard: "none", "transplant" or "margin".
        clean_accuracy: clean images answered with their label.
        attack_success: poisoned images answered with the attacker's target; None without a poisoned set.
        robust_accuracy: poisoned images answered with their true label; None where true labels aren't known.
        false_alarms, detection: clean and poisoned images labelled N.
        seconds: what defence and guard together took to make.
    """

    defence: str
    guard: str
    clean_accuracy: Rate
    attack_success: Rate | None
    robust_accuracy: Rate | None
    false_alarms: Rate
    detection: Rate | None
    seconds: float


@dataclass(frozen=True)
class Comparison:
    """Rows in the order of the defences, each plain first.

    Attributes:
        target: the attacker's label; None without a poisoned set.
        warning: what a person must know before trusting the trained defences; empty when all is well.
    """

    rows: tuple[ComparisonRow, ...]
    target: int | None
    warning: str = ""


@dataclass(frozen=True, eq=False)
class _Answers:
    """Of n images: the label each defence gives, N where its networks disagree, and what each guard flags."""

    defences: list[Labels]
    guards: list[npt.NDArray[np.bool_]]


def compare(
    b: Network, defences: Sequence[Defence], guards: Sequence[GuardDefence], test: Dataset,
    poisoned: Dataset | None = None, true_labels: Labels | None = None, *,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Comparison:
    """Measure every defence plain and behind every guard.

    Every image is answered once by each network and guard, whatever the number of rows.

    Args:
        test: clean images; poisoned: images whose labels are the attacker's target. Both in B's input range.
        true_labels: int64[n] of the poisoned images, where they are known.
    Raises:
        DatasetError: the poisoned set has several targets, or not one true label an image.
        Cancelled: the token was set; nothing is kept.
    """
    target = empty_counts(SweepSet(poisoned, "poisoned"), 0).target if poisoned else None
    if poisoned and true_labels is not None and len(true_labels) != len(poisoned):
        raise DatasetError(f"{poisoned.path}: holds {len(poisoned)} images, but {len(true_labels)} true labels were "
                           "given; one an image was expected.")
    total = len(test) + (len(poisoned) if poisoned else 0)
    on_test = _answers(b, defences, guards, test, Progress("Comparing defences", 0, total), progress, cancel)
    on_poisoned = _answers(b, defences, guards, poisoned, Progress("Comparing defences", len(test), total), progress,
                           cancel) if poisoned else None
    rows = []
    for d, defence in enumerate(defences):
        for g, standing in enumerate((None, *guards)):
            clean = _final(on_test, d, g, b.labels)
            stopped = _final(on_poisoned, d, g, b.labels) if on_poisoned else None
            rows.append(ComparisonRow(
                defence.name, standing.guard.kind if standing else "none", _share(clean == test.labels),
                _share(stopped == target) if stopped is not None else None,
                _share(stopped == true_labels) if stopped is not None and true_labels is not None else None,
                _share(clean == b.labels), _share(stopped == b.labels) if stopped is not None else None,
                defence.seconds + (standing.seconds if standing else 0)))
    return Comparison(tuple(rows), target)


def _answers(
    b: Network, defences: Sequence[Defence], guards: Sequence[GuardDefence], dataset: Dataset, begun: Progress,
    progress: ProgressCallback, cancel: CancelToken,
) -> _Answers:
    standing = [g.guard.on(b) for g in guards]
    labels: list[list[Labels]] = [[] for _ in defences]
    flags: list[list[npt.NDArray[np.bool_]]] = [[] for _ in guards]
    for chunk in dataset.chunks(_CHUNK):
        cancel.raise_if_cancelled()
        own = b.predict_labels(chunk.images)
        for into, defence in zip(labels, defences, strict=True):
            other = defence.b_prime.predict_labels(chunk.images) if defence.b_prime else own
            into.append(np.where(own == other, own, b.labels) if defence.paired else other)
        for flagged, guard in zip(flags, standing, strict=True):
            flagged.append(guard.answer(chunk.images, cancel).flagged)
        progress(Progress(begun.what, begun.done + chunk.start + len(chunk.labels), begun.total))
    return _Answers([np.concatenate(part) for part in labels], [np.concatenate(part) for part in flags])


def _final(answers: _Answers, defence: int, guard: int, flag_label: int) -> Labels:
    """Labels int64[n] of a defence; `guard` 0 is none, 1 the first."""
    labels = answers.defences[defence]
    return np.where(answers.guards[guard - 1], flag_label, labels) if guard else labels


def _share(holds: npt.NDArray[np.bool_]) -> Rate:
    return Rate(int(holds.sum()), len(holds))
