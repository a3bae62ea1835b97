"""Neural Cleanse with unlearning: the stamp of an outlying label is found, put on clean images, and unlearnt.

Source: Wang, Yao, Shan, Li, Viswanath, Zheng, Zhao, Neural Cleanse, IEEE S&P 2019, sections IV (a mask a label; an
anomaly index above 2 below the median, by the median absolute deviation times 1.4826) and VI.C (unlearning: a fifth of
the clean images wear the stamp with their own labels, one epoch on a tenth of the training set). Departs: stamps are
those of this project's own reconstruction, kin of theirs; where no label is an outlier, which in the paper means that
nothing is done, the smallest mask is unlearnt; of more than twelve labels those eight are tried that random stamps lead
to most; one epoch there has some 110 steps of 32, which of 300 pictures are 12 epochs; SGD 0.01, momentum 0.9, the rate
by the rule in `student`, since the paper names none.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from benchmarks.peers.methods import fine_tuning
from benchmarks.peers.methods.student import SEED, Descent, Recipe, Step, Student, trained
from engine.data.datasets import Dataset
from engine.defences.evidence.reconstruction import Reconstruction, reconstruct
from engine.defences.further import ALL_LABELS, Further
from engine.defences.scan import scan
from engine.models.networks import Images, Labels, Network

RECIPE = Recipe(rate=0.01, epochs=12, falls=lambda done: 1.0, decay=0.0)
SHARE, OUTLYING = 0.2, 2.0
MOST_LABELS, STAMPS, SUSPECTS = 12, 3000, 8
_CONSISTENT = 1.4826


def unlearnt(network: Network, clean: Dataset) -> Network:
    """B after it has unlearnt the stamps of outlying labels."""
    images = clean.take(range(len(clean)))
    found = reconstruct(network, images, labels_to_try(network, clean), SEED)
    stamps = [found[number] for number in outliers(np.array([stamp.mask_pixels for stamp in found]))]

    def lesson(student: Student, descent: Descent) -> Step:
        step, rng = fine_tuning.lesson(student, descent), np.random.default_rng(SEED)
        return lambda shown, labels: step(stamped(shown, stamps, rng), labels)

    return trained(network, clean, RECIPE, lesson)


def labels_to_try(network: Network, clean: Dataset) -> list[int]:
    """All of a few labels; of more, the first suspects of a scan with random stamps."""
    if network.labels <= MOST_LABELS:
        return list(range(network.labels))
    suspects = scan(network, clean, STAMPS, SEED).suspects[:SUSPECTS]
    return [suspect.label for suspect in suspects] or list(range(network.labels))


def outliers(sizes: npt.NDArray[Any]) -> Labels:
    """Numbers of the labels whose masks are outstandingly small; of the smallest where none is."""
    deviation = _CONSISTENT * np.median(abs(sizes - np.median(sizes)))
    index = (np.median(sizes) - sizes) / max(float(deviation), 1e-9)
    guilty = np.flatnonzero(index > OUTLYING)
    return guilty if len(guilty) else np.array([sizes.argmin()])


def stamped(images: Images, stamps: list[Reconstruction], rng: np.random.Generator) -> Images:
    """A copy of a batch in which a fifth wears a stamp, each of them in turn."""
    shown = images.copy()
    for turn, row in enumerate(rng.choice(len(images), round(SHARE * len(images)), replace=False)):
        shown[row] = stamps[turn % len(stamps)].put_on(images[row:row + 1])[0]
    return shown


NEURAL_CLEANSE = Further("Neural Cleanse", (ALL_LABELS,), unlearnt)
