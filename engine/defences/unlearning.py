"""Repair by unlearning: a copy of B is shown its own triggers, as far as they can be found, and B's answers without.

Source: Wang et al., Neural Cleanse, IEEE S&P 2019, section 6, with other stamps (see `evidence.likenesses`) and with
clean images, shifted and mixed, that are taught B's own logits: that keeps what B knows. The quick repair: it takes a
third of distillation's time, and holds against what is like the stamps found.
"""

from __future__ import annotations

import numpy as np

from engine.data.datasets import Dataset
from engine.defences.distillation import Teacher, as_the_teacher, untouched
from engine.defences.evidence.likenesses import Likenesses, find_likenesses
from engine.defences.training import (
    HELD_TO_TELL,
    Batch,
    Lesson,
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

STEPS = 200
# Of each image so many copies with a likeness of a trigger.
STAMPED = 3


def unlearn(
    network: Network, clean: Dataset, *, steps: int = STEPS, seed: int = 0, allow_missing_labels: bool = False,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Train a copy of B on its answers to clean images, shown clean, shifted, mixed and with likenesses of triggers.

    Likenesses are found on the images trained on alone. Some images are held aside, and tell what it costs.

    Args:
        network: B; it isn't changed.
        clean: clean images with true labels in the network's input range, of every label.
        steps: how many steps to train, of 306 images each that come from 34 clean ones.
        allow_missing_labels: train although labels have no image; the result carries a warning.
    Raises:
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    warning = missing_labels_warning(network, clean, allow_missing_labels)
    data = load_training_data(clean, seed, HELD_TO_TELL)
    found = find_likenesses(network, clean, data.images, seed, progress=progress, cancel=cancel)
    teacher = compiled_logits(network)
    lesson = Lesson("Unlearning stamps", lambda _: _batches(teacher, data, found, seed), grade=None,
                    loss=as_the_teacher(teacher(data.images)))
    trained = train(network, len(data.images), lesson, steps, seed, progress, cancel)
    return as_repair(network, "unlearning", trained, data, warning, seed, lesson)


def _batches(teacher: Teacher, data: TrainingData, found: Likenesses, seed: int) -> Batch:
    rng = np.random.default_rng([seed, 1])

    def batch(rows: Labels) -> tuple[Images, Logits]:
        images = data.images[rows]
        learnt = untouched(images, data.images, rng)
        answers = teacher(learnt)
        stamped = [found.put_on(images, rng) for _ in range(STAMPED)]
        return np.concatenate([learnt, *stamped]), np.concatenate([answers, *[answers[:len(rows)]] * STAMPED])

    return batch
