"""Fine-pruning: prune channels that clean images don't use, then train on clean images what is left.

Source: Liu, Dolan-Gavitt, Garg, Fine-Pruning: Defending Against Backdooring Attacks on Deep Neural Networks, RAID 2018.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.data.datasets import Dataset
from engine.defences.training import (
    STEPS,
    Lesson,
    Repair,
    as_repair,
    clean_accuracy,
    labelled_batches,
    learning_rate,
    load_training_data,
    missing_labels_warning,
    train,
)
from engine.models.networks import Network
from engine.progress import NEVER_CANCELLED, CancelToken, ProgressCallback, ignore_progress


def fine_prune(
    network: Network, clean: Dataset, layer: str, channels: Sequence[int], *, steps: int = STEPS, seed: int = 0,
    allow_missing_labels: bool = False,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Prune channels of a layer, then fine-tune on clean images; the pruned channels stay zero.

    A fifth of the images is held aside; the state that answers most of them rightly is kept.

    Args:
        network: B; it isn't changed.
        clean: clean images with true labels in the network's input range, of every label.
        channels: what to prune, such as the first k of a ranking's order.
        steps: the most steps to train, of 34 images (11 of a large network).
        allow_missing_labels: train although labels have no image; the result carries a warning.
    Raises:
        LayerNotFound: no prunable layer has that name.
        DatasetError: a label has no image and that wasn't allowed, or none can be held aside.
        Cancelled: the token was set; nothing is kept.
    """
    pruned = network.pruned(layer, channels)
    warning = missing_labels_warning(network, clean, allow_missing_labels)
    data = load_training_data(clean, seed)

    def grade(student: Network) -> int:
        return clean_accuracy(student, data, cancel).count

    lesson = Lesson("Fine-tuning the pruned network", lambda *_: labelled_batches(network, data), grade, layer,
                    tuple(int(c) for c in channels), rate=learning_rate(pruned, data, seed, progress, cancel))
    trained = train(pruned, len(data.images), lesson, steps, seed, progress, cancel)
    return as_repair(network, "fine-pruning", trained, data, warning, seed, lesson, cancel)
