"""Repair by unlearning: a copy of B is shown its own triggers, as far as they can be found, and B's answers without.

Source: Wang et al., Neural Cleanse, IEEE S&P 2019, section 6, with other stamps (see `evidence.likenesses`) and with
clean images, shifted and mixed, that are taught B's own logits: that keeps what B knows. The quick repair: it takes a
third of distillation's time, and holds against what is like the stamps found.
"""

from __future__ import annotations

import numpy as np

from engine.data.datasets import Dataset
from engine.defences.course import Course, prepare, teach, untouched
from engine.defences.training import Batch, Repair
from engine.models.logits import Logits
from engine.models.networks import Images, Labels, Network
from engine.progress import NEVER_CANCELLED, CancelToken, Did, ProgressCallback, ignore_progress

STEPS = 200
# Of each image so many copies with a likeness of a trigger.
STAMPED = 3


def unlearn(
    network: Network, clean: Dataset, *, steps: int = STEPS, seed: int = 0, allow_missing_labels: bool = False,
    course: Course | None = None,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Train a copy of B on its answers to clean images, shown clean, shifted, mixed and with likenesses of triggers.

    Likenesses are found on the images trained on. Some are held aside, and tell what it costs.

    Args:
        network: B; it isn't changed.
        clean: clean images with true labels in the network's input range, of every label.
        steps: how many steps to train, of 306 images each that come from 34 clean ones; of a large network 99 that
            come from 11.
        allow_missing_labels: train although labels have no image; the result carries a warning.
        course: made of the same network, images and seed before; None to make it now.
    Raises:
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    made = course or prepare(network, clean, seed, allow_missing_labels=allow_missing_labels,
                             progress=progress, cancel=cancel)
    return teach(network, made, "unlearning", "Unlearning stamps", lambda _, did: _batches(made, did, cancel), steps,
                 progress, cancel)


def _batches(course: Course, did: Did, cancel: CancelToken) -> Batch:
    data, rng = course.data, np.random.default_rng([course.seed, 1])

    def batch(rows: Labels) -> tuple[Images, Logits]:
        images = data.images[rows]
        learnt = untouched(images, data.images, rng)
        answers = course.teacher(learnt, cancel, did)
        stamped = [course.found.put_on(images, rng) for _ in range(STAMPED)]
        return np.concatenate([learnt, *stamped]), np.concatenate([answers, *[answers[:len(rows)]] * STAMPED])

    return batch
