"""FT-SAM: fine-tuning that looks for flat minima, with larger perturbations for larger weights.

Source: Zhu, Wei, Shen, Fan, Wu, Enhancing Fine-Tuning Based Backdoor Defense with Sharpness-Aware Minimization, ICCV
2023, section 3.3: min over w of the max of L(w + e) where the norm of e / T_w is at most rho, T_w = |w|; so
e = rho T_w^2 g / |T_w g|, and the gradient at w + e is what w follows. Their settings: rho 2, SGD 0.01 along a cosine,
momentum 0.9, decay 5e-4, labels smoothed by 0.1, 100 epochs of ten steps; batch statistics of batch normalisation are
gathered on the first pass only. Departs: batches of 32 and 30 epochs (see `fine_tuning`); the rate by the rule in
`student`.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.methods import fine_tuning
from benchmarks.peers.methods.student import (
    Descent,
    Gradients,
    Step,
    Student,
    compiled_step,
    cross_entropy,
    trained,
)
from engine import backend
from engine.data.datasets import Dataset
from engine.defences.further import ALL_LABELS, Further
from engine.models.networks import Network

RECIPE = fine_tuning.RECIPE
RHO = 2.0
SMOOTHING = 0.1
_TINY = 1e-12


def fine_tuned(network: Network, clean: Dataset) -> Network:
    """B trained further, every step at the worst place nearby."""
    return trained(network, clean, RECIPE, lesson)


def lesson(student: Student, descent: Descent) -> Step:
    """Up to the worst place, and down from where the weights were along the gradient there."""
    tensorflow, _ = backend.load()
    model, variables = student.model, student.variables

    def step(images: Any, labels: Any) -> None:
        weights = [v.value for v in variables]
        with tensorflow.GradientTape() as tape:
            loss = cross_entropy(model(images, training=True), labels, SMOOTHING)
        worst = [w + e for w, e in zip(weights, ascent(weights, tape.gradient(loss, weights)), strict=True)]
        with tensorflow.GradientTape() as tape:
            tape.watch(worst)
            # Stateless, so that batch normalisation's running statistics aren't those of the perturbed network.
            logits, _ = model.stateless_call(worst, model.non_trainable_variables, images, training=True)
            loss = cross_entropy(logits, labels, SMOOTHING)
        descent.apply(tape.gradient(loss, worst))

    return compiled_step(student, step)


def ascent(weights: Gradients, gradients: Gradients) -> Gradients:
    """e for each of the weights."""
    tensorflow, _ = backend.load()
    norm = tensorflow.linalg.global_norm([abs(w) * g for w, g in zip(weights, gradients, strict=True)])
    return [RHO * w**2 * g / (norm + _TINY) for w, g in zip(weights, gradients, strict=True)]


FT_SAM = Further("FT-SAM", (ALL_LABELS,), fine_tuned)
