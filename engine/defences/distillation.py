"""Repair by distillation: a student of B that has learnt to ignore patches, to stand beside B as B'.

The recipe was measured by the project's own experiments; its kin are distillation as a defence and training with
cut-out patches (Hinton et al. 2015; DeVries, Taylor 2017).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.defences.stamps import ValueRange, random_stamp, value_range
from engine.defences.training import STEPS, Lesson, Repair, as_repair, load_training_data, missing_labels_warning, train
from engine.models.logits import compiled_logits
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress

COPIES = 2
_BRIGHTNESS = (0.85, 1.15)
_SHIFT = 0.06


def distil(
    network: Network, clean: Dataset, *, steps: int = STEPS, seed: int = 0, allow_missing_labels: bool = False,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Train a student of B on B's own answers to clean images, shown clean and with random patches.

    A fifth of the images is held aside; the state that answers most of them rightly, clean and patched, is kept.

    Args:
        network: B; it isn't changed.
        clean: clean images with true labels in the network's input range, of every label.
        steps: the most steps to train, 34 images and two patched copies of each a step.
        allow_missing_labels: train although labels have no image; the result carries a warning.
    Raises:
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    warning = missing_labels_warning(network, clean, allow_missing_labels)
    data = load_training_data(clean, seed)
    values = value_range(data.images)
    rng = np.random.default_rng([seed, 1])
    answers = soft_labels(network, data.images)

    def batch(rows: Labels) -> tuple[Images, npt.NDArray[np.float32]]:
        images = data.images[rows]
        shown = [images, *(patched(images, values, rng) for _ in range(COPIES))]
        return np.concatenate(shown), np.tile(answers[rows], (COPIES + 1, 1))

    exam = np.concatenate([data.held_images, patched(data.held_images, values, np.random.default_rng([seed, 2]))])
    truth = np.tile(data.held_labels, 2)

    def grade(student: Network) -> int:
        return int((student.predict_labels(exam) == truth).sum())

    lesson = Lesson("Repairing by distillation", batch, grade)
    trained = train(network, len(data.images), lesson, steps, seed, progress, cancel)
    return as_repair(network, "distillation", trained, data, warning, seed, lesson)


def patched(images: Images, values: ValueRange, rng: np.random.Generator) -> Images:
    """Copies of float32[n, H, W, C], each in other light and with one or two random patches.

    Brightness is multiplied by 0.85 to 1.15 and shifted by up to 6 % of the range; what leaves the range is cut off.
    """
    low, high = values
    count, shape = len(images), (images.shape[1], images.shape[2], images.shape[3])
    factor = rng.uniform(*_BRIGHTNESS, (count, 1, 1, 1))
    shift = rng.uniform(-_SHIFT, _SHIFT, (count, 1, 1, 1)) * (high - low)
    copies: Images = (low + (images - low) * factor + shift).clip(low, high).astype(np.float32)
    for image in copies:
        for _ in range(int(rng.integers(1, 3))):
            random_stamp(rng, shape, values).put_on(image)
    return copies


def soft_labels(network: Network, images: Images) -> npt.NDArray[np.float32]:
    """The network's probabilities float32[n, labels], also where it ends in logits."""
    logits = compiled_logits(network)(images).astype(np.float64)
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    shares: npt.NDArray[np.float32] = (powers / powers.sum(axis=1, keepdims=True)).astype(np.float32)
    return shares
