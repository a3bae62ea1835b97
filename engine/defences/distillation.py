"""Repair by broad distillation: a student of B that has learnt to ignore what no trigger needs to be known for.

Of what it is taught to ignore it is shown what moves it most. The recipe was measured by the project's own experiments;
its kin are distillation as a defence, training with cut-out patches, hard examples, and adversarial unlearning (Hinton
et al. 2015; DeVries, Taylor 2017; Shrivastava et al. 2016; Zeng et al. 2022).
"""

from __future__ import annotations

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
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress

STEPS = 500
# Of each image so many perturbed copies are learnt, those of so many that the student answers worst.
COPIES, TRIED = 3, 6
# Of each image so many copies with a likeness of a trigger.
STAMPED = 2
SUSPECTS = 3


def distil(
    network: Network, clean: Dataset, *, steps: int = STEPS, seed: int = 0, allow_missing_labels: bool = False,
    course: Course | None = None,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Train a student of B on B's own answers to clean images, shown clean, shifted, mixed and perturbed.

    It is perturbed by chance, by the likenesses of triggers that B gives away, and by picture-wide patterns that draw
    the student to the first suspects. Some images are held aside, and tell what it costs.

    Args:
        network: B; it isn't changed.
        clean: clean images with true labels in the network's input range, of every label.
        steps: how many steps to train, of 408 images each that come from 34 clean ones.
        allow_missing_labels: train although labels have no image; the result carries a warning.
        course: made of the same network, images and seed before; None to make it now.
    Raises:
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    made = course or prepare(network, clean, seed, allow_missing_labels=allow_missing_labels,
                             progress=progress, cancel=cancel)
    return teach(network, made, "distillation", "Repairing by distillation", lambda student: _batches(student, made),
                 steps, progress, cancel)


def _batches(student: Network, course: Course) -> Batch:
    data, found = course.data, course.found
    values, rng = value_range(data.images), np.random.default_rng([course.seed, 1])
    targeted = Targeted(student, data.images, found.suspects[:SUSPECTS], values, rng)
    answer_of = compiled_logits(student)

    def batch(rows: Labels) -> tuple[Images, Logits]:
        images, count = data.images[rows], len(rows)
        learnt = untouched(images, data.images, rng)
        answers = course.teacher(learnt)
        own, moved = slice(count), slice(count, 2 * count)
        tried = np.concatenate([perturbed(learnt[moved], values, rng) for _ in range(TRIED)])
        wanted = np.tile(answers[moved], (TRIED, 1))
        worst = np.argsort(-surprise(answer_of(tried), wanted), kind="stable")[:COPIES * count]
        stamped = [found.put_on(images, rng) for _ in range(STAMPED)]
        return (np.concatenate([learnt, tried[worst], targeted.put_on(images), *stamped]),
                np.concatenate([answers, wanted[worst], *[answers[own]] * (1 + STAMPED)]))

    return batch


def surprise(logits: Logits, wanted: Logits) -> npt.NDArray[np.float64]:
    """The cross-entropy of answers and those wanted, float64[n] of logits float32[n, labels] each."""
    found: npt.NDArray[np.float64] = -(np.exp(log_softmax(wanted)) * log_softmax(logits)).sum(axis=1)
    return found
