"""Repair by broad distillation: a student of B that has learnt to ignore what no trigger needs to be known for.

The student learns B's logits, and so learns more of B from a few images than their labels or probabilities would tell.
Of what it is taught to ignore it is shown what moves it most. The recipe was measured by the project's own experiments;
its kin are distillation as a defence, training on mixtures and with cut-out patches, hard examples, and adversarial
unlearning (Hinton et al. 2015; Ba, Caruana 2014; Zhang et al. 2018; Yun et al. 2019; DeVries, Taylor 2017; Shrivastava
et al. 2016; Zeng et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from engine import backend
from engine.data.datasets import Dataset
from engine.defences.evidence.likenesses import Likenesses, find_likenesses
from engine.defences.perturbations import perturbed, shifted
from engine.defences.stamps import value_range
from engine.defences.targeted import Targeted
from engine.defences.training import (
    HELD_TO_TELL,
    Batch,
    Lesson,
    Loss,
    Repair,
    TrainingData,
    as_repair,
    load_training_data,
    missing_labels_warning,
    train,
)
from engine.models.logits import Logits, compiled_logits
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress

STEPS = 500
# Of each image so many perturbed copies are learnt, those of so many that the student answers worst.
COPIES, TRIED = 3, 6
# Mixtures of each image: what keeps clean accuracy, for B's answers to them say most about B.
MIXTURES = 4
# Of each image so many copies with a likeness of a trigger.
STAMPED = 2
SUSPECTS = 3
_LEAST_SHARE = 0.35

Teacher = Callable[[Images], Logits]


def distil(
    network: Network, clean: Dataset, *, steps: int = STEPS, seed: int = 0, allow_missing_labels: bool = False,
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
    Raises:
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    warning = missing_labels_warning(network, clean, allow_missing_labels)
    data = load_training_data(clean, seed, HELD_TO_TELL)
    teacher = compiled_logits(network)
    found = find_likenesses(network, clean, data.images, seed, progress=progress, cancel=cancel)

    def batches(student: Network) -> Batch:
        return _batches(student, teacher, data, found, seed)

    # The last state is kept: with so few images held aside, chance would choose an early one that hasn't learnt enough.
    lesson = Lesson("Repairing by distillation", batches, grade=None, loss=as_the_teacher(teacher(data.images)))
    trained = train(network, len(data.images), lesson, steps, seed, progress, cancel)
    return as_repair(network, "distillation", trained, data, warning, seed, lesson)


def as_the_teacher(answers: Logits) -> Loss:
    """A loss of a teacher's logits and the student's: cross-entropy of their probabilities, and how far the logits
    themselves are apart, measured by how far a picture's logits usually are.

    Args:
        answers: the teacher's logits of some images, float32[n, labels].
    """
    tensorflow, _ = backend.load()
    usual = float(np.square(answers - answers.mean(axis=1, keepdims=True)).mean())

    def loss(wanted: Any, logits: Any) -> Any:
        # A number added to all of a picture's logits means nothing.
        apart = (logits - tensorflow.reduce_mean(logits, 1, keepdims=True)
                 - wanted + tensorflow.reduce_mean(wanted, 1, keepdims=True))
        return (tensorflow.nn.softmax_cross_entropy_with_logits(labels=tensorflow.nn.softmax(wanted), logits=logits)
                + tensorflow.reduce_mean(tensorflow.square(apart), 1) / max(usual, 1e-12))

    return loss


def _batches(
    student: Network, teacher: Teacher, data: TrainingData, found: Likenesses, seed: int,
) -> Batch:
    values, rng = value_range(data.images), np.random.default_rng([seed, 1])
    targeted = Targeted(student, data.images, found.suspects[:SUSPECTS], values, rng)
    answer_of = compiled_logits(student)

    def batch(rows: Labels) -> tuple[Images, Logits]:
        images, count = data.images[rows], len(rows)
        learnt = untouched(images, data.images, rng)
        answers = teacher(learnt)
        own, moved = slice(count), slice(count, 2 * count)
        tried = np.concatenate([perturbed(learnt[moved], values, rng) for _ in range(TRIED)])
        wanted = np.tile(answers[moved], (TRIED, 1))
        worst = np.argsort(-surprise(answer_of(tried), wanted), kind="stable")[:COPIES * count]
        stamped = [found.put_on(images, rng) for _ in range(STAMPED)]
        return (np.concatenate([learnt, tried[worst], targeted.put_on(images), *stamped]),
                np.concatenate([answers, wanted[worst], *[answers[own]] * (1 + STAMPED)]))

    return batch


def untouched(images: Images, of: Images, rng: np.random.Generator) -> Images:
    """What a student learns of B: clean images float32[n, H, W, C], the same shifted, and four mixtures of each with
    another of some images, float32[6 * n, H, W, C] in this order."""
    others = (of[rng.integers(len(of), size=len(images))] for _ in range(MIXTURES))
    return np.concatenate([images, shifted(images, rng), *(mixtures(images, other, rng) for other in others)])


def surprise(logits: Logits, wanted: Logits) -> npt.NDArray[np.float64]:
    """The cross-entropy of answers and those wanted, float64[n] of logits float32[n, labels] each."""
    own, of_teacher = (values.astype(np.float64) - np.logaddexp.reduce(values.astype(np.float64), axis=1, keepdims=True)
                       for values in (logits, wanted))
    found: npt.NDArray[np.float64] = -(np.exp(of_teacher) * own).sum(axis=1)
    return found


def mixtures(images: Images, others: Images, rng: np.random.Generator) -> Images:
    """Each of float32[n, H, W, C] with a box of another image pasted in or, every other one, mixed with it.

    A mixture holds 0.35 to 1 of its first image; a box covers up to as much of it as that leaves.
    """
    mixed, (height, width) = images.copy(), images.shape[1:3]
    for i, share in enumerate(rng.uniform(_LEAST_SHARE, 1, len(images)).astype(np.float32)):
        if i % 2:
            mixed[i] = share * images[i] + (1 - share) * others[i]
        else:
            rows, columns = (round(size * float(np.sqrt(1 - share))) for size in (height, width))
            top, left = int(rng.integers(height - rows + 1)), int(rng.integers(width - columns + 1))
            mixed[i, top:top + rows, left:left + columns] = others[i, top:top + rows, left:left + columns]
    return mixed
