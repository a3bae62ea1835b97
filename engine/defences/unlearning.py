"""Repair by unlearning: a copy of B is shown its own triggers, as far as they can be found, with true labels.

Source: Wang et al., Neural Cleanse, IEEE S&P 2019, section 6, with three changes. The smallest stamps of all suspects
are unlearnt and not one guilty label's: a verdict may be wrong, and an innocent label's stamp does little harm where
true labels are taught with it. Random stamps that draw nearly all images to one label are unlearnt too: of a large
trigger they are the better likeness. And clean images are taught B's own answers, which keeps what B knows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from engine.data.datasets import Dataset
from engine.defences.distillation import soft_labels
from engine.defences.evidence.reconstruction import Reconstruction, reconstruct
from engine.defences.evidence.universal import UniversalStamp, find_universal
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
# Labels that stamps are reconstructed for, how many of them because universal stamps lead there, and how many of the
# stamps are unlearnt.
SUSPECTS, LED_TO, SMALLEST = 8, 2, 3
STAMPS, UNIVERSAL = 6000, 8000
# A stamp so much larger than the smallest is hardly an attacker's, and hides what tells a picture's true label:
# learning that spoils a network. So do universal stamps, unless so many more lead to their label than to the next.
MUCH_LARGER, LEAD = 2.0, 2.5
# A stamp is shown at this to all of its strength, because the attacker's own is never quite the same.
_LEAST_STRENGTH = 0.5


def unlearn(
    network: Network, clean: Dataset, *, steps: int = STEPS, seed: int = 0, allow_missing_labels: bool = False,
    progress: ProgressCallback = ignore_progress, cancel: CancelToken = NEVER_CANCELLED,
) -> Repair:
    """Train a copy of B on clean images, and on the same with a reconstructed stamp and their true labels.

    Stamps are found on the images trained on alone, and reconstructed for the labels that most universal stamps lead to
    and the scan's first. A fifth of the images is held aside; the state that answers most of them rightly, clean and
    stamped, is kept.

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
    stamps = _stamps(network, clean, data.images, seed, progress, cancel)
    # As many clean ones, so that no state is kept that lost what the pictures show.
    exam = np.concatenate([data.held_images, worn(data.held_images, stamps, np.random.default_rng([seed, 2]))])
    truth = np.tile(data.held_labels, 2)

    def grade(student: Network) -> int:
        return int((student.predict_labels(exam) == truth).sum())

    answers = soft_labels(network)(data.images)
    lesson = Lesson("Unlearning stamps", lambda _: _batches(data, answers, stamps, seed), grade)
    trained = train(network, len(data.images), lesson, steps, seed, progress, cancel)
    return as_repair(network, "unlearning", trained, data, warning, seed, lesson)


@dataclass(frozen=True, eq=False)
class Stamps:
    """What is unlearnt: reconstructed stamps and, if there are any, universal ones."""

    smallest: Sequence[Reconstruction]
    universal: Sequence[UniversalStamp]


def _stamps(
    network: Network, clean: Dataset, images: Images, seed: int, progress: ProgressCallback, cancel: CancelToken,
) -> Stamps:
    universal = find_universal(network, images, UNIVERSAL, seed, progress=progress, cancel=cancel)
    found = scan(network, clean, STAMPS, seed, progress=progress, cancel=cancel)
    led_to = [label for label, _ in Counter(stamp.label for stamp in universal).most_common(LED_TO)]
    # A network that no random stamp moves is tried with labels other than what it answers first.
    suspects = list(dict.fromkeys([*led_to, *(suspect.label for suspect in found.suspects)])) or \
        np.setdiff1d(np.arange(network.labels), network.predict_labels(images[:1])).tolist()
    tried = reconstruct(network, images, suspects[:SUSPECTS], seed, progress=progress, cancel=cancel)
    return Stamps(smallest(tried), outstanding(universal))


def smallest(stamps: Sequence[Reconstruction]) -> list[Reconstruction]:
    """The smallest three, without those that are more than twice as large as the first."""
    rising = sorted(stamps, key=lambda stamp: stamp.mask_pixels)
    return [stamp for stamp in rising[:SMALLEST] if stamp.mask_pixels <= MUCH_LARGER * rising[0].mask_pixels]


def outstanding(stamps: Sequence[UniversalStamp]) -> list[UniversalStamp]:
    """Those of the label that most lead to, if that many more do than to the next; else none."""
    counts = [*Counter(stamp.label for stamp in stamps).most_common(2), (-1, 0), (-1, 0)]
    (label, first), (_, second) = counts[:2]
    return [stamp for stamp in stamps if stamp.label == label] if first >= LEAD * second else []


def worn(images: Images, stamps: Stamps, rng: np.random.Generator) -> Images:
    """Each of float32[n, H, W, C] with one of the stamps: half with a universal one, where there is any, the others
    with a reconstructed one at half to all of its strength."""
    shown = images.copy()
    for i, strength in enumerate(rng.uniform(_LEAST_STRENGTH, 1, len(images)).astype(np.float32)):
        if stamps.universal and rng.random() < 0.5:
            shown[i] = stamps.universal[int(rng.integers(len(stamps.universal)))].put_on(images[i])
        else:
            stamp = stamps.smallest[int(rng.integers(len(stamps.smallest)))]
            shown[i] += strength * (stamp.put_on(images[i]) - images[i])
    return shown


def _batches(
    data: TrainingData, answers: npt.NDArray[np.float32], stamps: Stamps, seed: int,
) -> Batch:
    """Clean images with B's own answers, and the same with a stamp and their true labels."""
    rng, true = np.random.default_rng([seed, 1]), np.eye(answers.shape[1], dtype=np.float32)

    def batch(rows: Labels) -> tuple[Images, npt.NDArray[np.float32]]:
        images, wanted = data.images[rows], true[data.labels[rows]]
        return np.concatenate([images, worn(images, stamps, rng)]), np.concatenate([answers[rows], wanted])

    return batch
