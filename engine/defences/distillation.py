"""Repair by broad distillation: a student of B that has learnt to ignore what no trigger needs to be known for.

The recipe was measured by the project's own experiments; its kin are distillation as a defence, training on mixtures
and with cut-out patches, and adversarial unlearning (Hinton et al. 2015; Zhang et al. 2018; Yun et al. 2019; DeVries,
Taylor 2017; Zeng et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.defences.perturbations import perturbed
from engine.defences.scan import scan
from engine.defences.stamps import value_range
from engine.defences.targeted import Targeted
from engine.defences.training import (
    Batch,
    Lesson,
    Repair,
    TrainingData,
    as_repair,
    load_training_data,
    missing_labels_warning,
    train,
)
from engine.models.logits import compiled_logits
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress

STEPS = 400
COPIES = 3
SUSPECTS = 3
STAMPS = 6000
# How far the student goes back towards B in the end: it brings back a third to a half of the accuracy that was lost.
# Where labels have no image it brings back the attack instead, so there it isn't gone.
TOWARDS_B = 0.15
_LEAST_SHARE = 0.35

Teacher = Callable[[Images], npt.NDArray[np.float32]]


def distil(
    network: Network, clean: Dataset, *, steps: int = STEPS, seed: int = 0, allow_missing_labels: bool = False,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Train a student of B on B's own answers to clean images, shown clean, perturbed and mixed.

    A scan names the suspects that picture-wide perturbations are unlearnt for. A fifth of the images is held aside;
    the state that answers most of them rightly, clean and perturbed, is kept and goes a little way back towards B.

    Args:
        network: B; it isn't changed.
        clean: clean images with true labels in the network's input range, of every label.
        steps: how many steps to train, 34 clean images, their 102 perturbed copies, 34 mixtures and 34 images with a
            targeted perturbation each.
        allow_missing_labels: train although labels have no image; the result carries a warning.
    Raises:
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    warning = missing_labels_warning(network, clean, allow_missing_labels)
    data = load_training_data(clean, seed)
    values, teacher = value_range(data.images), soft_labels(network)
    found = scan(network, clean, STAMPS, seed, progress=progress, cancel=cancel)
    suspects = [suspect.label for suspect in found.suspects[:SUSPECTS]]
    exam = np.concatenate([data.held_images, perturbed(data.held_images, values, np.random.default_rng([seed, 2]))])
    truth = np.tile(data.held_labels, 2)

    def grade(student: Network) -> int:
        return int((student.predict_labels(exam) == truth).sum())

    def batches(student: Network) -> Batch:
        return _batches(student, teacher, data, suspects, seed)

    lesson = Lesson("Repairing by distillation", batches, grade, patience=None)
    trained = train(network, len(data.images), lesson, steps, seed, progress, cancel)
    return as_repair(network, "distillation", trained, data, warning, seed, lesson, 0.0 if warning else TOWARDS_B)


def _batches(student: Network, teacher: Teacher, data: TrainingData, suspects: list[int], seed: int) -> Batch:
    values, rng = value_range(data.images), np.random.default_rng([seed, 1])
    answers = teacher(data.images)
    targeted = Targeted(student, data.images, suspects, values, rng) if suspects else None

    def batch(rows: Labels) -> tuple[Images, npt.NDArray[np.float32]]:
        images = data.images[rows]
        shown = [images, *(perturbed(images, values, rng) for _ in range(COPIES))]
        if targeted:
            shown.append(targeted.put_on(images))
        mixed = mixtures(images, data.images[rng.integers(len(data.images), size=len(rows))], rng)
        return np.concatenate([*shown, mixed]), np.concatenate([*[answers[rows]] * len(shown), teacher(mixed)])

    return batch


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


def soft_labels(network: Network) -> Teacher:
    """The network's probabilities of images, float32[n, labels], also where it ends in logits."""
    compute = compiled_logits(network)

    def answers(images: Images) -> npt.NDArray[np.float32]:
        logits = compute(images).astype(np.float64)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares: npt.NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
        return shares

    return answers
