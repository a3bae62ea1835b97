"""Repair by broad distillation: a student of B that has learnt to ignore what no trigger needs to be known for.

Of what it is taught to ignore it is shown what moves it most. The recipe was measured by the project's own experiments;
its kin are distillation as a defence, training with cut-out patches, hard examples, and adversarial unlearning (Hinton
et al. 2015; DeVries, Taylor 2017; Shrivastava et al. 2016; Zeng et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.defences.course import Course, prepare, teach, untouched
from engine.defences.perturbations import perturbed
from engine.defences.stamps import value_range
from engine.defences.targeted import Targeted
from engine.defences.training import Batch, Repair
from engine.models.logits import Logits, compiled_logits, log_softmax
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ProgressCallback, ignore_progress

STEPS = 500
# For each image of a batch so many perturbed copies are learnt: of so many for each, those of the whole batch that the
# student answers worst.
COPIES, TRIED = 3, 6
# Of each image so many copies with a likeness of a trigger.
STAMPED = 2
SUSPECTS = 3


@dataclass(frozen=True, eq=False)
class _Shown:
    """Clean images of a batch, what is learnt of B from them, the shifted ones perturbed, and those with stamps on."""

    images: Images
    learnt: Images
    tried: Images
    stamped: list[Images]


def distil(
    network: Network, clean: Dataset, *, steps: int = STEPS, seed: int = 0, allow_missing_labels: bool = False,
    course: Course | None = None,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Train a student of B on B's own answers to clean images, shown clean, shifted, mixed and perturbed.

    It is perturbed by chance, by the likenesses of triggers that B gives away, and by picture-wide patterns and
    distortions that draw the student to suspects. Some images are held aside, and tell what it costs.

    Args:
        network: B; it isn't changed.
        clean: clean images with true labels in the network's input range, of every label.
        steps: how many steps to train, of 408 images each that come from 34 clean ones; of a large network 132
            that come from 11.
        allow_missing_labels: train although labels have no image; the result carries a warning.
        course: made of the same network, images and seed before; None to make it now.
    Raises:
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    made = course or prepare(network, clean, seed, allow_missing_labels=allow_missing_labels,
                             progress=progress, cancel=cancel)
    return teach(network, made, "distillation", "Repairing by distillation",
                 lambda student, did: _batches(student, made, did, cancel), steps, progress, cancel, _shown(made))


def _shown(course: Course) -> Callable[[Labels], _Shown]:
    """What makes of a batch's rows all that doesn't depend on the student."""
    data, values, rng = course.data, value_range(course.data.images), np.random.default_rng([course.seed, 1])

    def shown(rows: Labels) -> _Shown:
        images = data.images[rows]
        learnt = untouched(images, data.images, rng)
        moved = learnt[len(rows):2 * len(rows)]
        tried = np.concatenate([perturbed(moved, values, rng) for _ in range(TRIED)])
        return _Shown(images, learnt, tried, [course.found.put_on(images, rng) for _ in range(STAMPED)])

    return shown


def _batches(student: Network, course: Course, did: Did, cancel: CancelToken) -> Batch:
    data, found = course.data, course.found
    targeted = Targeted(student, data.images, found.suspects[:SUSPECTS], found.warped,
                        np.random.default_rng([course.seed, 3]), did, cancel)
    answer_of = compiled_logits(student)

    def batch(shown: _Shown) -> tuple[Images, Logits]:
        answers, count = course.teacher(shown.learnt, cancel, did), len(shown.images)
        own, wanted = answers[:count], np.tile(answers[count:2 * count], (TRIED, 1))
        worst = np.argsort(-cross_entropy(answer_of(shown.tried, cancel, did), wanted), kind="stable")[:COPIES * count]
        return (np.concatenate([shown.learnt, shown.tried[worst], targeted.put_on(shown.images), *shown.stamped]),
                np.concatenate([answers, wanted[worst], *[own] * (1 + STAMPED)]))

    return batch


def cross_entropy(logits: Logits, wanted: Logits) -> npt.NDArray[np.float64]:
    """The cross-entropy of answers and those wanted, float64[n] of logits float32[n, labels] each."""
    found: npt.NDArray[np.float64] = -(np.exp(log_softmax(wanted)) * log_softmax(logits)).sum(axis=1)
    return found
