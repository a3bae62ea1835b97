"""Plain fine-tuning on clean images, the base line that every repair must beat.

As in Liu et al., Fine-Pruning, RAID 2018, section 3.2, with the settings of the FT-SAM paper's comparison (Zhu et al.
2023, section 4.1): SGD 0.01 along a cosine, momentum 0.9, decay 5e-4, 100 epochs of ten steps. Departs: batches of 32
in place of 256, which of our 300 pictures makes ten steps as well; 30 epochs; the rate by the rule in `student`.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.methods.student import (
    Descent,
    Recipe,
    Step,
    Student,
    compiled_step,
    cosine,
    cross_entropy,
    trained,
)
from engine import backend
from engine.data.datasets import Dataset
from engine.defences.further import ALL_LABELS, Further
from engine.models.networks import Network

RECIPE = Recipe(rate=0.01, epochs=30, falls=cosine, decay=5e-4)


def fine_tuned(network: Network, clean: Dataset) -> Network:
    """B trained further on clean images and their labels."""
    return trained(network, clean, RECIPE, lesson)


def lesson(student: Student, descent: Descent) -> Step:
    """One step on the cross entropy."""
    tensorflow, _ = backend.load()

    def step(images: Any, labels: Any) -> None:
        with tensorflow.GradientTape() as tape:
            loss = cross_entropy(student.model(images, training=True), labels)
        descent.apply(tape.gradient(loss, [v.value for v in student.variables]))

    return compiled_step(student, step)


FINE_TUNING = Further("fine-tuning", (ALL_LABELS,), fine_tuned)
