"""Repair by unlearning: a copy of B is shown its own triggers, as far as they can be reconstructed, with true labels.

Source: Wang et al., Neural Cleanse, IEEE S&P 2019, section 6, with two changes. The smallest stamps of all suspects are
unlearnt and not one guilty label's: a verdict may be wrong, and an innocent label's stamp does little harm where true
labels are taught with it. And clean images are taught B's own answers, which keeps what B knows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.defences.distillation import soft_labels
from engine.defences.evidence.reconstruction import Reconstruction, reconstruct
from engine.defences.scan import scan
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
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress

STEPS = 200
# Labels that stamps are reconstructed for, and how many of these are unlearnt.
SUSPECTS, SMALLEST = 8, 3
STAMPS = 6000
# A stamp so much larger than the smallest is hardly an attacker's; and it hides what tells a picture's true label.
_MUCH_LARGER = 2.0
# A stamp is shown at this to all of its strength, because the attacker's own is never quite the same.
_LEAST_STRENGTH = 0.5


def unlearn(
    network: Network, clean: Dataset, *, steps: int = STEPS, seed: int = 0, allow_missing_labels: bool = False,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Train a copy of B on clean images, and on the same with a reconstructed stamp and their true labels.

    Stamps are reconstructed for the scan's first suspects, from the images trained on alone. A fifth of the images is
    held aside; the state that answers most of them rightly, clean and stamped, is kept.

    Args:
        network: B; it isn't changed.
        clean: clean images with true labels in the network's input range, of every label.
        steps: the most steps to train, 34 clean and 34 stamped images a step.
        allow_missing_labels: train although labels have no image; the result carries a warning.
    Raises:
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    warning = missing_labels_warning(network, clean, allow_missing_labels)
    data = load_training_data(clean, seed)
    found = scan(network, clean, STAMPS, seed, progress=progress, cancel=cancel)
    # A network that no random stamp moves is tried with labels other than what it answers first.
    suspects = [suspect.label for suspect in found.suspects] or \
        np.setdiff1d(np.arange(network.labels), network.predict_labels(data.images[:1])).tolist()
    stamps = smallest(reconstruct(network, data.images, suspects[:SUSPECTS], seed, progress=progress, cancel=cancel))
    exam = np.concatenate([data.held_images, *(stamp.put_on(data.held_images) for stamp in stamps)])
    truth = np.tile(data.held_labels, 1 + len(stamps))

    def grade(student: Network) -> int:
        return int((student.predict_labels(exam) == truth).sum())

    answers = soft_labels(network)(data.images)
    lesson = Lesson("Unlearning stamps", lambda _: _batches(data, answers, stamps, seed), grade)
    trained = train(network, len(data.images), lesson, steps, seed, progress, cancel)
    return as_repair(network, "unlearning", trained, data, warning, seed, lesson)


def smallest(stamps: Sequence[Reconstruction]) -> list[Reconstruction]:
    """The smallest three, without those that are more than twice as large as the first."""
    rising = sorted(stamps, key=lambda stamp: stamp.mask_pixels)
    return [stamp for stamp in rising[:SMALLEST] if stamp.mask_pixels <= _MUCH_LARGER * rising[0].mask_pixels]


def worn(images: Images, stamps: Sequence[Reconstruction], rng: np.random.Generator) -> Images:
    """Each of float32[n, H, W, C] with one of the stamps, at half to all of its strength."""
    which, strengths = rng.integers(len(stamps), size=len(images)), rng.uniform(_LEAST_STRENGTH, 1, len(images))
    shown: Images = np.stack([image + strength * (stamps[i].put_on(image) - image)
                              for image, i, strength in zip(images, which, strengths, strict=True)]).astype(np.float32)
    return shown


def _batches(
    data: TrainingData, answers: npt.NDArray[np.float32], stamps: Sequence[Reconstruction], seed: int,
) -> Batch:
    """Clean images with B's own answers, and the same with a stamp and their true labels."""
    rng, true = np.random.default_rng([seed, 1]), np.eye(answers.shape[1], dtype=np.float32)

    def batch(rows: Labels) -> tuple[Images, npt.NDArray[np.float32]]:
        images, wanted = data.images[rows], true[data.labels[rows]]
        return np.concatenate([images, worn(images, stamps, rng)]), np.concatenate([answers[rows], wanted])

    return batch
